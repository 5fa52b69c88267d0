"""A treemap of a profile: one box for each module, as large as its share of the latency."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from latlab.domain.estimate import milliseconds_text
from latlab.profiling.profile import Profile
from search.report.drawing.html import render
from search.report.profile import words
from search.report.profile.kinds import OTHER, colors, dominant, filter_text
from search.report.profile.squares import Box, squarified
from search.report.profile.tree import Branch, has_modules, tree

# Lengths in pixels.
HEADER, PADDING, TEXT_MARGIN, LINE_HEIGHT = 17.0, 2.0, 5.0, 14.0
MIN_GROUP = (64.0, 46.0)  # a smaller group is drawn as one box
MIN_SIDE = 0.5  # a smaller box cannot be seen
FONT_SIZE = 11.0
_CHARACTER_WIDTH = 0.62  # of the font's size: that of a wide font, so that texts fit in any
_WIDE_WIDTH = 1.05


@dataclass(frozen=True)
class Tile:
    """A box of the treemap.

    Attributes:
        box: Its place.
        lines: The texts in it, which fit into it.
        title: What it stands for, in full.
        color: The CSS class of its colour; "group" for one that holds others.
        rows: The numbers of its kernels in the page's table, from 1; none for the rest.
        filter: The filter that shows these kernels and no others; "" if there is none.
    """

    box: Box
    lines: tuple[str, ...]
    title: str
    color: str
    rows: tuple[int, ...] = ()
    filter: str = ""


@dataclass(frozen=True)
class _Part:
    """Something to be drawn: a branch, or kernels of one that has others below it."""

    name: str
    time_ns: float
    rows: tuple[int, ...]
    branch: Branch | None = None
    filter: str = ""


def draw(profile: Profile, width: int, height: int) -> Markup:
    """Return the treemap as an <svg> element."""
    return render(
        "treemap.svg",
        tiles=list(tiles(profile, Box(0.0, 0.0, width, height))),
        width=width,
        height=height,
        text_margin=TEXT_MARGIN,
        line_height=LINE_HEIGHT,
        font_size=FONT_SIZE,
    )


def tiles(profile: Profile, box: Box) -> Iterator[Tile]:
    """Yield the boxes of the treemap, groups before what they hold."""
    return _Drawing(profile).level(tree(profile), box, profile.rest_ns)


class _Drawing:
    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._colors = colors(profile)
        self._by_module = has_modules(profile)

    def level(self, branch: Branch, box: Box, rest_ns: float = 0.0) -> Iterator[Tile]:
        """Yield the tiles of what lies directly in a branch, and of what lies below that."""
        parts = list(self._parts(branch))
        parts.append(_Part("rest", rest_ns, ()))
        parts = sorted((part for part in parts if part.time_ns > 0), key=lambda p: -p.time_ns)
        boxes = squarified([part.time_ns for part in parts], box)
        for part, place in zip(parts, boxes, strict=True):
            if min(place.width, place.height) >= MIN_SIDE:
                yield from self._part(part, place)

    def _parts(self, branch: Branch) -> Iterator[_Part]:
        rows = self._profile.rows
        if branch.rows and self._by_module:
            time_ns = sum(max(rows[index].time_ns, 0.0) for index in branch.rows)
            names = dict.fromkeys(words.kind(rows[index]) for index in branch.rows)
            yield _Part(", ".join(names), time_ns, tuple(branch.rows))
        elif branch.rows:
            for index in branch.rows:
                yield _Part(f"#{index + 1}", rows[index].time_ns, (index,))
        for below in branch.branches.values():
            yield self._collapsed(below)

    def _collapsed(self, branch: Branch) -> _Part:
        """Return a branch as a part; one that only holds another is drawn with it as one."""
        name = branch.name
        while len(branch.branches) == 1 and not branch.rows:
            [branch] = branch.branches.values()
            name = f"{name}.{branch.name}"
        return _Part(
            name, branch.time_ns, tuple(sorted(branch.all_rows())), branch, self._filter(branch)
        )

    def _part(self, part: _Part, box: Box) -> Iterator[Tile]:
        branch = part.branch
        is_group = branch is not None and (branch.branches or not self._by_module)
        fits = box.width >= MIN_GROUP[0] and box.height >= MIN_GROUP[1]
        if branch is None or not is_group or not fits:
            yield self._tile(part, box, self._color(part))
            return
        yield self._tile(part, box, "group")
        yield from self.level(branch, box.inset(HEADER, PADDING))

    def _tile(self, part: _Part, box: Box, color: str) -> Tile:
        time = f"{milliseconds_text(part.time_ns)} ms"
        share = words.percent(self._profile, part.time_ns)
        room = box.width - 2 * TEXT_MARGIN
        if color == "group":
            lines = [_fitting(room, f"{part.name}  {time}  {share}", f"{part.name}  {time}")]
            lines = lines if lines[0] else [cut(part.name, room)]
        else:
            count = max(int((box.height - TEXT_MARGIN) // LINE_HEIGHT), 0)
            lines = [cut(part.name, room), _fitting(room, f"{time}, {share}", time)][:count]
        return Tile(
            box,
            tuple(line for line in lines if line),
            f"{self._title(part)}\n{time}, {share} of the latency",
            color,
            tuple(index + 1 for index in part.rows),
            part.filter,
        )

    def _color(self, part: _Part) -> str:
        if not part.rows:
            return "rest"
        return self._colors.get(dominant(self._profile, part.rows), OTHER)

    def _title(self, part: _Part) -> str:
        if not part.rows:
            return "rest: what no kernel accounts for"
        names = dict.fromkeys(words.kind(self._profile.rows[index]) for index in part.rows)
        path = part.branch.path if part.branch else self._path(part)
        kernels = f"{len(part.rows)} kernel{'s' if len(part.rows) > 1 else ''}"
        return f"{path}: {kernels} ({', '.join(names)})"

    def _path(self, part: _Part) -> str:
        if not self._by_module:
            return f"kernel {part.rows[0] + 1}"
        source = self._profile.rows[part.rows[0]].source
        return words.MODULE_UNKNOWN if source is None else source.module or words.NETWORK_ITSELF

    def _filter(self, branch: Branch) -> str:
        if branch.path in (words.MODULE_UNKNOWN, words.NETWORK_ITSELF):
            return ""
        return filter_text("module" if self._by_module else "kind", branch.path)


def _fitting(room: float, *texts: str) -> str:
    """Return the first text that fits into the room; "" if none does."""
    return next((text for text in texts if width(text) <= room), "")


def cut(text: str, room: float) -> str:
    """Return as much of a text as fits into the room, with an ellipsis if it is not all of it.

    It is "" where fewer than three characters would be left.
    """
    if width(text) <= room:
        return text
    room -= width("…")
    taken = 0
    for character in text:
        room -= width(character)
        if room < 0:
            break
        taken += 1
    return f"{text[:taken]}…" if taken >= 3 else ""


def width(text: Sequence[str] | str) -> float:
    """Return about how wide a text is in the treemap, in pixels. It is not wider."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return FONT_SIZE * (_CHARACTER_WIDTH * (len(text) - wide) + _WIDE_WIDTH * wide)
