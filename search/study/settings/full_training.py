"""The settings of a full training."""

from __future__ import annotations

from dataclasses import dataclass

from search.space.deployment import Deployment


@dataclass(frozen=True)
class FullTraining:
    """The recipe of Tan et al. 2019, section 5, and of the authors' public code.

    Attributes:
        epochs: Number of passes over the training images.
        resolution: Height and width, in pixels, of the images and of the exported network.
        batch_size: Images for each step.
        learning_rate: Peak learning rate for a batch of 4096. It is scaled with the batch size.
        warm_up_epochs: Epochs in which the rate rises from 0 to its peak.
        decay: Factor by which the rate falls.
        decay_epochs: Epochs between two falls of the rate.
        weight_decay: Weight decay of RMSProp.
        dropout: Share of the classifier's inputs that are dropped while training.
        ema_decay: Decay of the moving average of the weights. The average is what is kept.
        augment: Learn from random crops, half of them mirrored, and validate on the centre of
            each image. Otherwise the largest square of each image is used for both.
        seed: Seed of everything that is drawn.
        classes: Number of outputs of the classifier; None for one for each class of the images.
    """

    epochs: int = 350
    resolution: int = Deployment().resolution
    batch_size: int = 256
    learning_rate: float = 0.256
    warm_up_epochs: float = 5.0
    decay: float = 0.97
    decay_epochs: float = 2.4
    weight_decay: float = 1e-5
    dropout: float = 0.2
    ema_decay: float = 0.9999
    augment: bool = False
    seed: int = 0
    classes: int | None = None

    @property
    def centre_share(self) -> float:
        """The share of an image's shorter side that validation uses."""
        return 0.875 if self.augment else 1.0

    def rate(self, epoch: float) -> float:
        """Return the learning rate after a number of epochs, which need not be whole."""
        peak = self.learning_rate * self.batch_size / 4096
        if epoch < self.warm_up_epochs:
            return peak * epoch / self.warm_up_epochs
        falls = (epoch - self.warm_up_epochs) // self.decay_epochs
        return float(peak * self.decay**falls)
