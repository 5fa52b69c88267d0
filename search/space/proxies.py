"""How small the networks of a space may be trained without becoming equal to each other."""

from __future__ import annotations

from search.space.scaling import CHANNEL_STEP
from search.space.space import Space

# From this width multiplier on, channel counts of a space, rounded to whole numbers, differ.
SMALLEST_MULTIPLIER = 1 / CHANNEL_STEP


def smallest_images(space: Space, stem_stride: int) -> int:
    """Return the smallest images, in pixels, on which different networks of a space differ.

    Filters that reach beyond an image on all sides do what smaller filters do: on 2 × 2 pixels a
    5 × 5 filter computes nothing that a 3 × 3 filter does not, and on one pixel a pool skip is an
    identity skip. So the last and smallest feature map must be at least as large as the reach of
    the largest filter, its centre included.

    Args:
        space: The space, whose strides shrink the images.
        stem_stride: Stride of the first convolution.

    Returns:
        Height and width of the images.
    """
    last = (max(space.kernel_sizes) + 1) // 2
    strides = stem_stride
    for reference in space.references:
        strides *= reference.stride
    return (last - 1) * strides + 1  # each stride divides, and rounds up
