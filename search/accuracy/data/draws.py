"""Random draws of images in which every class keeps its share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from search.accuracy.data.images import Images, Int64Array, Split

VALIDATION_SHARE = 0.25  # of images that are divided, at most


def every(split: Split, resolution: int) -> Images:
    """Return all images of a split in their order, cut to a resolution in pixels."""
    return Images(split, np.arange(len(split.labels)), resolution)


def drawn(images: Images, count: int, rng: np.random.Generator) -> Images:
    """Return `count` of the images, or all if there are fewer, in random order."""
    return replace(images, indices=images.indices[stratified(images.labels, count, rng)])


def divided(images: Images, most: int, rng: np.random.Generator) -> tuple[Images, Images]:
    """Return the images to train on and those to validate on, which are a quarter, or `most`."""
    held_out = drawn(images, min(most, round(len(images) * VALIDATION_SHARE)), rng)
    return replace(images, indices=np.setdiff1d(images.indices, held_out.indices)), held_out


def stratified(labels: Int64Array, count: int, rng: np.random.Generator) -> Int64Array:
    """Return the indices of `count` labels, or of all if there are fewer, in random order.

    Every class has its share of the whole, to within one label. The order is random, so that
    any part of the indices is a fair sample.
    """
    total = len(labels)
    shuffled = rng.permutation(total)
    if count >= total:
        return shuffled
    classes, sizes = np.unique(labels[shuffled], return_counts=True)
    # Largest remainders: each share is rounded down, then up where most was cut off.
    quotas, remainders = np.divmod(sizes * count, total)
    quotas[np.argsort(-remainders, kind="stable")[: count - quotas.sum()]] += 1
    chosen = [
        shuffled[labels[shuffled] == label][:quota]
        for label, quota in zip(classes, quotas, strict=True)
    ]
    return rng.permutation(np.concatenate(chosen))
