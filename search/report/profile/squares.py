"""Divide a rectangle into parts of given areas that are close to squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_LEAST_AREA = 1e-9  # far below a pixel; a share that is too small for a float has none


@dataclass(frozen=True)
class Box:
    """A rectangle, in pixels."""

    x: float
    y: float
    width: float
    height: float

    def inset(self, top: float, others: float) -> Box:
        """Return the box without a margin at its top and one at its other sides."""
        return Box(
            self.x + others,
            self.y + top,
            max(self.width - 2 * others, 0.0),
            max(self.height - top - others, 0.0),
        )


def squarified(values: Sequence[float], box: Box) -> list[Box]:
    """Return a box for each value, whose area is the value's share of the whole box.

    This is the squarified treemap of Bruls, Huizing and van Wijk (2000): a row of boxes along the
    shorter side takes one more value as long as that makes none of its boxes less square.

    Args:
        values: The values, all above zero and in descending order.
        box: The box to divide.
    """
    total = sum(values)
    if not values or box.width <= 0 or box.height <= 0:
        return [Box(box.x, box.y, 0.0, 0.0) for _ in values]
    whole = box.width * box.height
    areas = [max(value / total * whole, _LEAST_AREA) for value in values]
    found: list[Box] = []
    rest = box
    start = 0
    while start < len(areas):
        side = min(rest.width, rest.height)
        end = start + 1
        while end < len(areas) and _worst(areas[start : end + 1], side) <= _worst(
            areas[start:end], side
        ):
            end += 1
        boxes, rest = _row(areas[start:end], rest)
        found += boxes
        start = end
    return found


def _worst(areas: Sequence[float], side: float) -> float:
    """Return the largest ratio of sides in a row of boxes along a side."""
    if not side:
        return float("inf")
    depth = sum(areas) / side
    return max(max(depth**2 / area, area / depth**2) for area in areas)


def _row(areas: Sequence[float], box: Box) -> tuple[list[Box], Box]:
    """Return a row of boxes along the shorter side, and the rest of the box."""
    total = sum(areas)
    boxes = []
    if box.width >= box.height:
        depth = min(total / box.height, box.width) if box.height else 0.0
        y = box.y
        for area in areas:
            height = box.height * area / total
            boxes.append(Box(box.x, y, depth, height))
            y += height
        return boxes, Box(box.x + depth, box.y, max(box.width - depth, 0.0), box.height)
    depth = min(total / box.width, box.height) if box.width else 0.0
    x = box.x
    for area in areas:
        width = box.width * area / total
        boxes.append(Box(x, box.y, width, depth))
        x += width
    return boxes, Box(box.x, box.y + depth, box.width, max(box.height - depth, 0.0))
