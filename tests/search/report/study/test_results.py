from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from latlab.domain.precision import Precision
from search.finalists import Finalist, write_results
from search.report.study.data import ZooRow
from search.report.study.results import published, result_record, results_table, trained
from search.space.zoo import PUBLISHED, ZOO
from search.study.settings import StudyError
from tests.search.fakes import estimate


def test_every_published_network_is_a_row_as_published() -> None:
    rows = {row.model: row for row in published([])}
    assert list(rows) == [known.name for known in PUBLISHED]
    a1 = result_record(rows["mnasnet-a1"])
    assert a1["published_top1"] == 0.752
    assert a1["published_pixel1_ms"] == 78
    assert a1["type"] == "auto"
    assert a1["latency_ns"] is None
    assert result_record(rows["mobilenet-v2"])["type"] == "manual"


def test_the_zoo_has_its_size_and_latency_here_too() -> None:
    latency = estimate(7_000_000)
    rows = {row.model: row for row in published([ZooRow(n, a, latency) for n, a in ZOO.items()])}
    assert set(rows) == {known.name for known in PUBLISHED} | set(ZOO)
    a1 = result_record(rows["mnasnet-a1"])
    assert a1["parameters"] == 3_887_038
    assert (a1["latency_ns"], a1["latency_source"]) == (7_000_000, "lookup")
    assert rows["mnasnet-small"].published is None
    assert rows["mnasnet-a3"].size is None


def test_the_table_tells_here_from_published() -> None:
    rows = published([ZooRow("mnasnet-a1", ZOO["mnasnet-a1"], estimate(7_000_000))])
    page = results_table(rows, "a <board>", "digits & more")
    assert "as published" in page
    assert "a &lt;board&gt;" in page
    assert "digits &amp; more" in page
    assert "7.00" in page
    assert "lookup" in page


def test_networks_trained_in_full_are_rows(tmp_path: Path) -> None:
    assert trained(tmp_path) == []
    a1 = ZOO["mnasnet-a1"]
    finalists = [
        Finalist(a1, Precision.FP32, accuracy=0.75, latency=estimate(7_000_000)),
        Finalist(a1, Precision.INT8, accuracy=0.74, failure="not measured"),
    ]
    (tmp_path / "trained").mkdir()
    write_results(tmp_path / "trained" / "results.json", finalists, {"dataset": "digits"})
    one, other = trained(tmp_path)
    assert one.model == "mnasnet-a1, trained, fp32"
    assert (one.accuracy, one.latency) == (0.75, estimate(7_000_000))
    assert one.size is not None
    assert one.size.parameters == 3_887_038
    assert other.latency is None


def test_published_networks_that_were_trained_have_an_accuracy_and_a_verdict(
    tmp_path: Path,
) -> None:
    a1 = ZOO["mnasnet-a1"]
    finalists = [
        Finalist(a1, Precision.FP32, accuracy=0.75, latency=estimate(7_000_000)),
        Finalist(a1, Precision.INT8, accuracy=0.74),
        Finalist(ZOO["mobilenet-v2"], Precision.FP32, failure="the training diverged"),
    ]
    verdict = {"rival": "mnasnet-a1", "precision": "fp32", "sentence": "The search <beats> it."}
    (tmp_path / "trained").mkdir()
    write_results(tmp_path / "trained" / "results.json", finalists, {"verdicts": [verdict]})
    rows = trained(tmp_path)
    assert [row.model for row in rows] == [
        "mnasnet-a1, trained, fp32",
        "mnasnet-a1, trained, int8",
        "mobilenet-v2, trained, fp32",
    ]
    assert [row.verdict for row in rows] == ["The search <beats> it.", "", ""]
    assert [row.kind for row in rows] == ["auto", "auto", "manual"]
    beside = {row.model: row for row in published([], trained_here=rows)}
    assert beside["mnasnet-a1"].accuracy == 0.75
    assert beside["mobilenet-v2"].accuracy is None
    assert beside["mnasnet-a1"].published is not None
    page = results_table([*rows, *beside.values()], "a board", "digits")
    assert page.count("The search &lt;beats&gt; it.") == 1
    assert page.count("75.0%") == 2


def test_damaged_results_are_named(tmp_path: Path) -> None:
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "results.json").write_text(json.dumps(asdict(estimate(1))))
    with pytest.raises(StudyError, match=r"results\.json is damaged"):
        trained(tmp_path)
