"""The settings of PPO. The command's help and checks read them without importing PyTorch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class PPOSettings:
    """MnasNet's settings, of Zoph et al. (arXiv 1707.07012, appendix A.2), who do not give epochs.

    Attributes:
        learning_rate: Learning rate of Adam.
        clip_coef: How far the ratio of new to old probability may leave 1 (epsilon in Schulman et
            al., arXiv 1707.06347).
        ent_coef: Weight of the entropy bonus in the objective (c2 there).
        baseline_decay: Decay of the moving average of rewards.
        minibatch_size: Architectures for each step of the optimizer (M there).
        epochs: Passes over the architectures of a round (K there).

    Raises:
        ValueError: A value is out of its range.
    """

    learning_rate: float = 3.5e-4
    clip_coef: float = 0.2
    ent_coef: float = 1e-5
    baseline_decay: float = 0.95
    minibatch_size: int = 20
    epochs: int = 3

    def __post_init__(self) -> None:
        for name, is_valid, allowed in (
            ("learning_rate", 0 < self.learning_rate <= 1_000, "above 0 and at most 1,000"),
            ("clip_coef", 0 < self.clip_coef < 1, "above 0 and below 1"),
            ("ent_coef", 0 <= self.ent_coef <= 1_000, "from 0 to 1,000"),
            ("baseline_decay", 0 <= self.baseline_decay < 1, "from 0 to below 1"),
            ("minibatch_size", 1 <= self.minibatch_size <= 10**6, "from 1 to 1,000,000"),
            ("epochs", 1 <= self.epochs <= 10_000, "from 1 to 10,000"),
        ):
            if not is_valid:
                raise ValueError(f"PPO's {name} must be {allowed}, not {getattr(self, name)}")

    @classmethod
    def parsed(cls, assignments: Iterable[str]) -> PPOSettings:
        """Return the settings that texts such as "epochs=4" assign, the rest at their defaults.

        Raises:
            ValueError: A text assigns no setting of PPO's, or a value out of its range.
        """
        values = asdict(cls())
        for assignment in assignments:
            name, _, text = assignment.partition("=")
            if name not in values:
                raise ValueError(
                    f"PPO has no setting {assignment!r}: give NAME=VALUE for one of {DEFAULTS}"
                )
            kind = type(values[name])
            try:
                values[name] = kind(text)
            except ValueError:
                wanted = "a whole number" if kind is int else "a number"
                raise ValueError(f"PPO's {name} must be {wanted}, not {text!r}") from None
        return cls(**values)

    def changed(self) -> dict[str, float]:
        """Return the settings of PPO that are not at their defaults."""
        defaults = asdict(PPOSettings())
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}


DEFAULTS = ", ".join(f"{field.name}={field.default:g}" for field in fields(PPOSettings))
