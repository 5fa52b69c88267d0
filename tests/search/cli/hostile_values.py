"""Values that nobody should give to a command, and a folder in which nobody minds them."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from search.space.zoo import ZOO
from search.study.document import settings_to_document
from search.study.settings import SearchTarget, StrategyName, StudySettings, TrainingSource
from search.study.study import open_study
from search.study.trial import Trial
from tests.search.fakes import estimate

NETWORK: dict[str, Any] = ZOO["mnasnet-small"].to_dict()
# Nothing can be made in these, not even by root.
UNWRITABLE = ("/dev/null/x", "/proc/x", "/sys/x", "/etc/passwd/x")

PATHS: tuple[str, ...] = (
    ".",
    "..",
    "...",
    "../esc",
    "../../esc",
    "a/../../esc",
    "./../esc",
    "first/..",
    "a/b/c",
)
PATHS += ("runs/..", "~", "~nobody-at-all/x", "x/", ".hidden", "-", "inputs/new/folder", "first")
CONTROL: tuple[str, ...] = (
    "\0",
    "a\0b",
    "\x01",
    "\x1b[31m",
    "\x7f",
    "\r\n",
    "a\nb",
    "\u202eabc",
    "\x85",
    "\t",
    " ",
)
LONG: tuple[str, ...] = (
    "x" * 101,
    "x" * 300,
    "é" * 200,
    "x" * 5_000,
    "9" * 5_000,
    "x/" * 300,
    "x" * 100_000,
)
UNICODE: tuple[str, ...] = (
    "é",
    "İ",
    "１２",
    "٣",
    "½",
    "²",
    "🜁",
    "e\u0301",
    "\ufeff",
    "\udc80",
    "a\udcffb",
    "研究",
)
NUMBERS: tuple[str, ...] = (
    "0",
    "-0",
    "-1",
    "1",
    "4",
    "5",
    "8",
    "32",
    "0.1",
    "0.5",
    "1.5",
    "+5",
    " 5 ",
    "05",
    ".5",
)
NUMBERS += ("5.", "1e", "--1", "1e5", "1e309", "-1e309", "inf", "-inf", "+inf", "Infinity", "nan")
NUMBERS += ("-nan", "NaN", "1e-320", "5e-324", "0x10", "1_000", "1,5", "1e6", "1e7", "1e-9", "None")
NUMBERS += (*(str(2**bits) for bits in (31, 32, 63, 64, 100)), "-9" * 30, "true", "65536")
OPTIONS: tuple[str, ...] = (
    "--help",
    "-h",
    "--study",
    "--",
    "--=",
    "-1",
    "--no-such",
    "-n",
    "--study=x",
    "@x",
)
MARKUP: tuple[str, ...] = (
    "[/]",
    "[red]",
    "x[/red]",
    "[bold",
    "[link=x]y",
    "[[",
    "\\[",
    ":smile:",
    "%s %d",
    "%(x)s",
)
MARKUP += ("{0}", "{", "<script>", "]]>", "$x", "$\\frac", "`touch esc`", "$(touch esc)", ";", "|")
MARKUP += ("'", '"', "\\", "a b", "*", "?", "x?y", "#", "&", "=", "x=", "a:b", "http://x", "x@y:1")
JSON: tuple[str, ...] = ("{}", "[", "[1, 2]", "null", '"', '{"blocks": []}')
NAMES: tuple[str, ...] = (
    "mnasnet-a1",
    "zoo",
    "junk",
    "typed",
    "torn",
    "digits",
    "auto",
    "fashion-mnist:inputs",
    "true",
)
NAMES += ("epochs=1", "epochs=nan", "learning_rate=nan", "clip_coef=inf", "epochs==3", "soft")
KINDS = (PATHS, CONTROL, LONG, UNICODE, NUMBERS, OPTIONS, MARKUP, JSON, NAMES)


class Scratch:
    """`top` is watched; commands run in `work`, deep inside it, beside a `home` and a file that
    nobody may touch."""

    def __init__(self, top: Path) -> None:
        self.top = top.resolve()
        self.work = self.top / "a/b/c/d/work"
        self.home = self.work.parent / "home"
        self.user = self.work.parent / "user"
        self.decoy = self.work.parent / "decoy"
        self._template = _studies(self.top.parent / f"{self.top.name}.template")
        self.clear()

    def clear(self) -> None:
        """As it was in the beginning."""
        shutil.rmtree(self.top, ignore_errors=True)
        for folder in (self.work / "inputs/folder.json", self.home, self.user, self.decoy):
            folder.mkdir(parents=True)
        (self.decoy / "precious").write_text("x")
        shutil.copytree(self._template, self.work / "runs")
        _write_inputs(self.work / "inputs")
        self._before = dict(self._listing())

    def changes(self) -> list[Path]:
        """What was made, changed or removed since; then all is as in the beginning again."""
        before, now = self._before, dict(self._listing())
        paths = before.keys() | now.keys()
        changed = [path for path in paths if before.get(path, "") != now.get(path, "")]
        if changed:
            self.clear()
        return changed

    def inputs(self) -> list[str]:
        return [f"inputs/{path.name}" for path in sorted((self.work / "inputs").iterdir())]

    def _listing(self) -> Iterator[tuple[Path, object]]:
        for folder, names, files in os.walk(self.top):
            for name in (*names, *files):
                path = Path(folder, name)
                status = path.lstat()
                facts = (status.st_ino, status.st_size, status.st_mtime_ns)
                yield path, None if name in names else facts


def _studies(runs: Path) -> Path:
    shutil.rmtree(runs, ignore_errors=True)
    settings = StudySettings(
        "mnasnet",
        StrategyName.RANDOM,
        (SearchTarget("0123456789abcdef", 5_000_000),),
        TrainingSource("x"),
    )
    document = settings_to_document(settings)
    with open_study(runs / "first", settings) as study:
        for number in range(2):
            study.append(
                [
                    Trial(a, number, 0.5, estimate(10**7), 0.4, measurement_id=f"m{number}")
                    for a in ZOO.values()
                ]
            )
    for name, made in {
        "junk": ("{", "\xff"),
        "typed": (json.dumps({**document, "targets": "5", "round_size": {}}), ""),
        "torn": (json.dumps(document), '{"user_attrs": {"round_size": "x"}}\n[]\n'),
    }.items():
        (runs / name).mkdir()
        (runs / name / "study.json").write_text(made[0])
        (runs / name / "journal.log").write_text(made[1], encoding="latin-1")
    return runs


def _write_inputs(folder: Path) -> None:
    changes: dict[str, dict[str, object]] = {
        "op": {"op": "attention"},
        "layers": {"layers": 0},
        "text": {"out_channels": "32"},
        "nan": {"se_ratio": float("nan")},
        "list": {"stride": [1]},
    }
    for name, change in changes.items():
        blocks = [NETWORK["blocks"][0] | change, *NETWORK["blocks"][1:]]
        (folder / f"{name}.json").write_text(json.dumps({**NETWORK, "blocks": blocks}))
    for name, text in {
        "good.json": json.dumps(NETWORK),
        "empty.json": "",
        "deep.json": "[" * 100_000,
        "array.json": "[1, 2]",
        "number.json": "9" * 10_000,
        "long.json": " " * (1 << 21),
        "junk.csv": 'accuracy,"x\n1,2',
        "junk.npz": "PK\3\4",
        "lone.csv": "accuracy\n0.5\n",
    }.items():
        (folder / name).write_text(text)
    (folder / "latin.json").write_bytes(b'{"\xff": 1}')
    for name, target in {
        "full.json": "/dev/full",
        "zero.json": "/dev/zero",
        "zero.csv": "/dev/zero",
        "lost.json": "nowhere",
        "loop.json": "loop.json",
    }.items():
        (folder / name).symlink_to(target)
    for name in ("pipe.json", "pipe.csv", "pipe.npz"):
        os.mkfifo(folder / name)


def hostile_values(
    scratch: Scratch, count: int, rng: random.Random, is_sound: Callable[[str], bool]
) -> list[str]:
    """As many of each kind; every tenth is made of two, or of random characters."""
    kinds = (*KINDS, scratch.inputs(), [f"{scratch.decoy}/new", str(scratch.decoy), *UNWRITABLE])
    values: list[str] = []
    while len(values) < count:
        if not values:
            value = ""
        elif rng.random() < 0.05:
            value = rng.choice(rng.choice(kinds)) + rng.choice(rng.choice(KINDS))
        elif rng.random() < 0.05:
            value = "".join(chr(rng.randrange(1, 0x3000)) for _ in range(rng.randrange(1, 20)))
        else:
            value = rng.choice(rng.choice(kinds))
        if is_sound(value):
            values.append(value)
    return values


def stays_inside(scratch: Scratch, value: str) -> bool:
    """Whether a command that took the value for a path would write into the scratch folder, or
    nowhere at all: those who try this are root now and then."""
    if value.startswith(UNWRITABLE):
        return ".." not in value
    for start in (scratch.work, scratch.work / "runs", scratch.home):
        reached = Path(os.path.normpath(f"{start}/{value}" if value[:1] != "/" else value))
        if not reached.is_relative_to(scratch.top):
            return False
    return True
