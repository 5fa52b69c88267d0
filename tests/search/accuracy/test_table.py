from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from search.accuracy.accuracy import AccuracyFailure
from search.accuracy.table import FittedTable, LookedUpTable, TableError, read_table
from search.space.space import SPACES, Space
from tests.search.fakes import small_space

SPACE = SPACES["accel-nas-bench"]


def done(count: int) -> None:
    pass


def write(path: Path, space: Space, samples: list[tuple[int, ...]], accuracies: list[str]) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*(d.column for d in space.decisions), "top1"])
        for choices, accuracy in zip(samples, accuracies, strict=True):
            cells = [d.cells[c] for d, c in zip(space.decisions, choices, strict=True)]
            rows.writerow([*cells, accuracy])
    return path


def draw(space: Space, count: int) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(count)]


@pytest.mark.parametrize("space", [SPACE, small_space()], ids=lambda space: space.name)
def test_what_is_in_the_table_is_looked_up_and_nothing_else(tmp_path: Path, space: Space) -> None:
    *samples, other = draw(space, 6)
    path = write(tmp_path / "t.csv", space, samples, ["0.1", "0.2", "0.3", "", "0.5"])
    networks = [space.resolve(choices) for choices in [*samples, other]]
    first, *_, empty, last, unknown = LookedUpTable(read_table(path, space, "top1")).evaluate(
        networks, done
    )
    assert (first, last) == (0.1, 0.5)
    assert isinstance(empty, AccuracyFailure)
    assert isinstance(unknown, AccuracyFailure)


def test_accel_nas_bench_s_columns_are_its_own() -> None:
    columns = [decision.column for decision in SPACE.decisions[:4]]
    assert columns == ["block0_e", "block0_k", "block0_se", "block0_l"]


def test_percent_become_shares(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", SPACE, draw(SPACE, 2), ["0.5", "70"])
    assert list(read_table(path, SPACE, "top1").accuracies.values()) == [0.005, 0.7]


def test_trees_learn_what_is_additive_and_say_how_well(tmp_path: Path) -> None:
    samples = draw(SPACE, 700)
    true = [0.4 + 0.01 * sum(choices) for choices in samples]
    path = write(tmp_path / "t.csv", SPACE, samples[:600], [f"{a:.4f}" for a in true[:600]])
    fitted = FittedTable.fit(read_table(path, SPACE, "top1"))
    assert fitted.kendall > 0.7
    assert fitted.r2 > 0.75
    unseen = fitted.evaluate([SPACE.resolve(choices) for choices in samples[600:]], done)
    assert np.corrcoef(np.array(unseen, float), true[600:])[0, 1] > 0.9


def test_a_table_of_noise_scores_so(tmp_path: Path) -> None:
    noise = [f"{a:.4f}" for a in np.random.default_rng(0).uniform(size=300)]
    path = write(tmp_path / "t.csv", SPACE, draw(SPACE, 300), noise)
    assert abs(FittedTable.fit(read_table(path, SPACE, "top1")).kendall) < 0.3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("top1", "top5", "has no column top1; it has: block0_e"),
        ("block3_k", "kernel", "has no column block3_k"),
        ("0.25", "nan", "line 3, top1 is 'nan': an accuracy must be"),
        ("0.25", "many", "line 3, top1 is 'many': an accuracy must be"),
        ("6,", "7,", r"line \d+: block\d_e is '7', not one of 1, 4, 6"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write(tmp_path / "t.csv", SPACE, draw(SPACE, 2), ["0.5", "0.25"])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(TableError, match=message):
        read_table(path, SPACE, "top1")


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "short.csv").write_text("")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("absent", "short", "bytes"):
        with pytest.raises(TableError, match=name):
            read_table(tmp_path / f"{name}.csv", SPACE, "top1")
    few = write(tmp_path / "few.csv", SPACE, draw(SPACE, 2), ["0.5", "0.25"])
    with pytest.raises(TableError, match="the table has 2 networks, and 50 are needed"):
        FittedTable.fit(read_table(few, SPACE, "top1"))
    empty = write(tmp_path / "empty.csv", SPACE, draw(SPACE, 2), ["", ""])
    with pytest.raises(TableError, match="holds no accuracies in its column top1"):
        read_table(empty, SPACE, "top1")
