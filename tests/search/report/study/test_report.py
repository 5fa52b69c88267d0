from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from rich.console import Console

from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.checks.text import cleaned
from latlab.domain.estimate import Correction, LatencyEstimate, RawSamples, Source
from latlab.domain.estimate import milliseconds_text as milliseconds
from latlab.domain.measurement import Conditions, Measurement, Visit
from latlab.domain.target import Target
from search.cli.front_table import front_table
from search.report.drawing.blocks import draw
from search.report.study.data import PredictorEvaluation, ReportData, ZooRow
from search.report.study.page import write_report
from search.report.study.plots import accuracy_latency, plot_parity
from search.space.space import mnasnet_space
from search.space.zoo import ZOO
from search.study.combined_latency import Combination, on_each_target
from search.study.settings import SearchTarget
from search.study.trial import Trial

unhurried = hypothesis_settings(deadline=None)

SPACE = mnasnet_space()
TARGET = Target("Some Board", "linux-6.1", "executorch-1.5.1", "r1", "xnnpack", 1, "big")
PNG = b"\x89PNG\r\n\x1a\n"


def estimate(latency_ns: int, source: Source) -> LatencyEstimate:
    return LatencyEstimate(
        latency_ns, int(latency_ns * 0.9), int(latency_ns * 1.1), source, 0.9, 12, 60.0
    )


def trials(count: int, measured_every: int = 3) -> list[Trial]:
    rng = np.random.default_rng(0)
    made = []
    for index in range(count):
        latency_ns = int(rng.integers(3_000_000, 12_000_000))
        predicted = estimate(int(latency_ns * 1.03), Source.REGRESSION)
        is_measured = index % measured_every == 0
        made.append(
            Trial(
                architecture=SPACE.resolve(SPACE.sample(rng)),
                round=index // 8,
                accuracy=float(rng.uniform(0.4, 0.9)),
                latency=estimate(latency_ns, Source.MEASURED) if is_measured else predicted,
                reward=float(rng.uniform(0.3, 0.9)),
                predicted=predicted if is_measured else None,
                measurement_id=f"m{index}" if is_measured else None,
            )
        )
    return made


def report_data(made: list[Trial], **changes: object) -> ReportData:
    data = ReportData(
        study="first",
        settings={"strategy": "random"},
        trials=made,
        target="board/big/1t",
        target_latency_ns=7_000_000,
        measurements=sum(t.measurement_id is not None for t in made),
        calibration=12,
    )
    return replace(data, **changes)  # type: ignore[arg-type]


def evaluation() -> PredictorEvaluation:
    measured = np.linspace(4e6, 9e6, 12)
    return PredictorEvaluation(
        measured, measured * 1.02, measured * 0.95, measured * 1.1, {"Kendall": "0.95"}, 0.01
    )


class References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"link", "script", "img", "iframe", "object"}
        self.found += [v or "" for k, v in attrs if k in {"src", "href", "xlink:href", "data"}]


def read(path: Path) -> ElementTree.Element:
    """Parse the page as XML, which is stricter than an HTML parser."""
    return ElementTree.fromstring(path.read_text(encoding="utf-8").split("\n", 1)[1])


def text_of(path: Path) -> str:
    return " ".join(read(path).itertext())


def sentences_of(path: Path) -> str:
    return "".join(read(path).itertext())


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = trials(24)
    made[1] = replace(made[1], accuracy=None, reward=None, failure="training diverged")
    zoo = [ZooRow(name, architecture) for name, architecture in ZOO.items()]
    data = report_data(made, evaluation=evaluation(), zoo=zoo)
    return write_report(data, tmp_path_factory.mktemp("runs") / "made" / "here")


def test_the_page_needs_nothing_else(full: Path) -> None:
    page = full.read_text()
    references = References()
    references.feed(page)
    assert all(reference.startswith("#") for reference in references.found)
    urls = set(re.findall(r"https?://[^\"' <]+", page))
    assert urls <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "@import" not in page
    assert all(url.startswith("#") for url in re.findall(r"url\(([^)]*)\)", page))


def test_ids_are_unique_and_references_lead_somewhere(full: Path) -> None:
    elements = list(read(full).iter())
    ids = [element.attrib["id"] for element in elements if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    page = full.read_text()
    referenced = re.findall(r'(?:xlink:href="|url\()#([^")]+)', page)
    assert referenced
    assert set(referenced) <= set(ids)


def test_everything_is_on_the_page(full: Path) -> None:
    text = text_of(full)
    for part in ("24", "8", "training diverged", "strategy", "Kendall", "mnasnet-a1", "7.00 ms"):
        assert part in text
    for name in ("accuracy-latency", "held-out", "search-parity", "progress", "diversity"):
        assert (full.parent / f"{name}.png").read_bytes().startswith(PNG)
        assert f"{name}.png" in text


def test_the_data_lies_beside_the_page(full: Path) -> None:
    with (full.parent / "trials.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    for row, trial in zip(rows, trials(24), strict=True):
        assert row["architecture"] == trial.architecture.id
        assert trial.latency is not None
        assert int(row["latency_ns"]) == trial.latency.latency_ns
    assert rows[1]["failure"] == "training diverged"
    made = json.loads((full.parent / "report.json").read_text())
    front = [trial.architecture.id for trial in report_data(trials(24)).measured_front()]
    assert [row["architecture"] for row in made["front"]] == front
    assert made["target_latency_ns"] == 7_000_000
    assert "mnasnet-a1" in (full.parent / "results.csv").read_text()


def test_the_first_sentence_names_the_best_network(tmp_path: Path) -> None:
    made = trials(8, measured_every=1)
    data = report_data(made, accuracy="the <table>")
    best = data.best()
    assert best is not None
    assert best.latency is not None
    text = sentences_of(write_report(data, tmp_path))
    assert f"The best network, {best.architecture.id}, reaches {best.accuracy:.1%}" in text
    assert "(the <table>)" in text
    assert f"takes {milliseconds(best.latency.latency_ns)} ms on board/big/1t" in text


@pytest.mark.parametrize(("target_ns", "says"), [(4_000_000, "50% above"), (8_000_000, "within")])
def test_the_first_sentence_says_whether_the_target_is_met(
    target_ns: int, says: str, tmp_path: Path
) -> None:
    fast, slow = trials(2, measured_every=1)
    fast = replace(fast, accuracy=0.5, reward=0.5, latency=estimate(3_000_000, Source.MEASURED))
    slow = replace(slow, accuracy=0.9, reward=0.8, latency=estimate(6_000_000, Source.MEASURED))
    text = sentences_of(
        write_report(report_data([fast, slow], target_latency_ns=target_ns), tmp_path)
    )
    assert f"{says} the target latency of {milliseconds(target_ns)} ms" in text
    assert ("Within the target" in text) == (says != "within")
    assert (f"{fast.architecture.id} is the most accurate" in text) == (says != "within")


def measurement(trial: Trial) -> Measurement:
    assert trial.latency is not None
    ns = trial.latency.latency_ns
    before = Conditions(0, temperature_c=41.0, clock_khz=2_400_000, governor="performance")
    visits = [
        Visit(
            run_id=f"v{number}",
            traced=number == 2,
            wall_ns=(ns,) * 101,
            cpu_ns=(ns,) * 101,
            involuntary_switches=(0,) * 101,
            warmup_runs=1,
            load_ns=3_100_000,
            peak_rss_bytes=48_000_000,
            before=before,
            after=replace(before, temperature_c=47.0),
        )
        for number in range(3)
    ]
    return Measurement(
        trial.measurement_id or "", TARGET.id, "a" * 64, BenchmarkSpec(), 10**18, tuple(visits)
    )


def test_the_lab_adds_conditions(tmp_path: Path) -> None:
    made = trials(6, measured_every=1)
    known = {made[0].measurement_id: measurement(made[0])} | {
        trial.measurement_id: measurement(trial) for trial in report_data(made).measured_front()
    }
    with_lab = report_data(made, devices=[TARGET], front_measurements=known)
    text = text_of(write_report(with_lab, tmp_path / "with"))
    for condition in (TARGET.device_model, "41 to 47 °C", "2.40 GHz", "performance", "202 timed"):
        assert condition in text
    assert "3.10 ms loading" in text
    assert "48.0 MB peak memory" in text
    text = text_of(write_report(report_data(made), tmp_path / "without"))
    assert "How the front was measured" not in text
    assert "peak memory" not in text
    assert "if the lab that measured the networks runs" in text


def printed(data: ReportData) -> str:
    """Return the front as it is printed on a wide screen."""
    console = Console(width=240)
    with console.capture() as capture:
        console.print(front_table(data))
    return capture.get()


def front_with_noise() -> list[Trial]:
    """Three networks on a front; the gain of the last one is within the noise of accuracies."""
    accuracies = [(0.60, 0.58, 0.59), (0.70, 0.71, 0.72), (0.725, 0.71, 0.72)]
    return [
        replace(
            trial,
            accuracy=fmean(each),
            accuracies=each,
            repeats=2,
            reward=0.5,
            latency=estimate(latency_ns, Source.MEASURED),
        )
        for trial, each, latency_ns in zip(
            trials(3, measured_every=1), accuracies, (3_000_000, 4_000_000, 5_000_000), strict=True
        )
    ]


def test_the_noise_of_accuracies_is_shown_with_the_front(tmp_path: Path) -> None:
    data = report_data(front_with_noise())
    noise = data.noise()
    assert noise is not None
    assert noise.degrees == 3
    front = data.measured_front()
    shown = printed(data)
    text = text_of(write_report(data, tmp_path))
    for trial in front:
        assert trial.accuracy is not None
        assert f"{trial.accuracy:.1%} ± {noise.half_width(trial):.1%}" in shown
    assert "by no more than the noise of accuracies explains: 3" in " ".join(shown.split())
    most_accurate = front[-1].accuracy
    assert most_accurate is not None
    assert f"standard deviation of {noise.deviation(most_accurate):.1%}" in text
    assert text.count("≈") == 2  # at the network and in the note
    assert "of 3 evaluations" in text
    made = json.loads((tmp_path / "report.json").read_text())
    assert made["accuracy_noise"] == {"log_odds": noise.log_odds, "degrees": 3}
    assert [row["within_noise"] for row in made["front"]] == [False, False, True]
    assert made["front"][0]["accuracies"] == [0.60, 0.58, 0.59]
    [row, *_] = csv.DictReader((tmp_path / "trials.csv").open())
    assert float(row["accuracy_standard_error"]) == noise.standard_error(front[0])
    assert row["evaluations"] == "3"


def test_error_bars_of_accuracy_stand_on_the_front() -> None:
    data = report_data(front_with_noise())
    with_bars, without = (
        accuracy_latency(each)
        for each in (data, report_data([replace(t, accuracies=()) for t in front_with_noise()]))
    )
    assert with_bars is not None
    assert without is not None
    bars = [
        segment
        for collection in with_bars.figure.axes[0].collections
        if isinstance(collection, LineCollection)
        for segment in collection.get_segments()
        if segment[0][0] == segment[1][0]
    ]
    noise = data.noise()
    assert noise is not None
    assert len(bars) == 3
    for trial, bar in zip(data.measured_front(), bars, strict=True):
        assert bar[1][1] - bar[0][1] == pytest.approx(2 * noise.half_width(trial))
    lines = (c for c in without.figure.axes[0].collections if isinstance(c, LineCollection))
    assert all(s[0][0] != s[1][0] for each in lines for s in each.get_segments())


def test_nothing_is_said_about_noise_that_is_not_known(tmp_path: Path) -> None:
    data = report_data(trials(6, measured_every=1))
    text = text_of(write_report(data, tmp_path))
    assert "±" not in printed(data)
    assert "≈" not in text
    assert "other seeds" not in text
    assert json.loads((tmp_path / "report.json").read_text())["accuracy_noise"] is None


def with_raw(trial: Trial) -> Trial:
    assert trial.latency is not None
    ns = trial.latency.latency_ns
    raw = RawSamples(ns + 50_000_000, ns + 90_000_000, ns + 99_000_000, 606, 5, 2)
    return replace(trial, latency=replace(trial.latency, raw=raw))


def test_quantiles_of_all_runs_stand_beside_measured_latencies(tmp_path: Path) -> None:
    data = report_data([with_raw(trial) for trial in trials(6, measured_every=1)])
    text = text_of(write_report(data, tmp_path))
    shown = printed(data)
    for trial in data.measured_front():
        assert trial.latency is not None
        for quantile_ns in (50_000_000, 90_000_000, 99_000_000):
            quantile = milliseconds(trial.latency.latency_ns + quantile_ns)
            assert quantile in text
            assert quantile in shown
    assert "5 of 7" in text
    assert "5 of 7" in shown
    [record, *_] = json.loads((tmp_path / "report.json").read_text())["front"]
    assert record["quantiles_ns"][0]["p99_ns"] == record["latency_ns"] + 99_000_000
    [row, *_] = csv.DictReader((tmp_path / "trials.csv").open())
    assert int(row["median_ns"]) == int(row["latency_ns"]) + 50_000_000
    assert (row["clean_visits"], row["disturbed_visits"]) == ("5", "2")


@pytest.mark.parametrize("is_smoothed", [False, True])
def test_the_accuracy_of_a_training_stands_beside_the_smoothed_one(
    tmp_path: Path, is_smoothed: bool
) -> None:
    trained = 0.123 if is_smoothed else None
    data = report_data([replace(trial, trained_accuracy=trained) for trial in trials(24)])
    text = text_of(write_report(data, tmp_path))
    assert ("trained 12.3%" in text) == is_smoothed
    assert ("Accuracies are smoothed by a surrogate" in text) == is_smoothed
    for row in csv.DictReader((tmp_path / "trials.csv").open()):
        assert row["trained_accuracy"] == (str(trained) if is_smoothed else row["accuracy"])


@pytest.mark.parametrize(
    ("revisions", "says"),
    [
        ([None], None),
        (["a"], "board/big/1t: a memory probe of 2.30 ms"),
        (["a", "b"], "by 2 revisions of the correction"),
    ],
)
def test_the_page_names_the_state_that_latencies_are_corrected_to(
    tmp_path: Path, revisions: list[str | None], says: str | None
) -> None:
    made = []
    for number, trial in enumerate(trials(12, measured_every=1)):
        revision = revisions[number % len(revisions)]
        assert trial.latency is not None
        correction = None if revision is None else Correction(revision, 2_300_000)
        made.append(replace(trial, latency=replace(trial.latency, correction=correction)))
    data = report_data(made)
    on_front = {t.latency.correction for t in data.measured_front() if t.latency is not None}
    assert len(on_front) == len(revisions)
    text = text_of(write_report(data, tmp_path))
    assert ("quiet state." in text) == (says is not None)
    assert says is None or says in text


def test_points_have_tooltips(full: Path) -> None:
    titles = [e.text or "" for e in read(full).iter("{http://www.w3.org/2000/svg}title")]
    for trial in trials(24):
        if trial.measurement_id is not None:
            about = [title for title in titles if title.startswith(trial.architecture.id)]
            assert any("accuracy" in title and "measured" in title for title in about)
            assert any("predicted" in title for title in about)


def test_both_colour_schemes(full: Path) -> None:
    page = full.read_text()
    assert "prefers-color-scheme: dark" in page
    assert "var(--measured)" in page


@unhurried
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_names_are_escaped(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    name = f"<script>alert('&')</script>{text}"
    data = report_data([], study=name, target=name, settings={name: name})
    path = write_report(data, tmp_path_factory.mktemp("runs"))
    assert "<script" not in path.read_text(encoding="utf-8")
    assert cleaned(name) in "".join(read(path).itertext())


def test_failures_are_escaped(tmp_path: Path) -> None:
    failed = replace(trials(1)[0], failure="<b>out of & memory")
    assert "<b>out of & memory" in text_of(write_report(report_data([failed]), tmp_path))


def test_a_study_without_trials_says_so(tmp_path: Path) -> None:
    text = text_of(write_report(report_data([]), tmp_path))
    assert "No candidate has a latency yet" in text
    assert "there is no front" in text


def test_a_study_without_measurements_has_no_front(tmp_path: Path) -> None:
    data = report_data(trials(4, measured_every=100)[1:])
    assert data.measured_front() == []
    assert "there is no front" in text_of(write_report(data, tmp_path))
    assert front_table(data).row_count == 0


def test_one_point_is_enough(tmp_path: Path) -> None:
    assert "100%" in text_of(write_report(report_data(trials(1)), tmp_path))


def test_latencies_over_several_orders_of_magnitude(tmp_path: Path) -> None:
    made = trials(3, measured_every=1)
    slow = estimate(900_000_000, Source.MEASURED)
    write_report(report_data([*made[:2], replace(made[2], latency=slow)]), tmp_path)


points = st.tuples(
    st.integers(0, 5), st.integers(1, 6), st.sampled_from([Source.MEASURED, Source.REGRESSION])
)


@unhurried
@given(st.lists(points, max_size=12))
def test_the_front_is_that_of_measurements_alone(values: list[tuple[int, int, Source]]) -> None:
    made = [
        replace(
            trial,
            accuracy=accuracy / 10,
            latency=estimate(latency * 1_000_000, source),
            predicted=None,
            measurement_id="m" if source is Source.MEASURED else None,
        )
        for trial, (accuracy, latency, source) in zip(MANY, values, strict=False)
    ]
    measured = [t for t in made if t.latency and t.latency.source is Source.MEASURED]
    front = report_data(made).measured_front()
    expected = {t.architecture for t in measured if not any(dominates(o, t) for o in measured)}
    assert {t.architecture for t in front} == expected
    assert len(front) == len(expected)


def dominates(a: Trial, b: Trial) -> bool:
    assert a.accuracy is not None
    assert b.accuracy is not None
    assert a.latency
    assert b.latency
    mine, other = (a.accuracy, -a.latency.latency_ns), (b.accuracy, -b.latency.latency_ns)
    return mine != other and mine[0] >= other[0] and mine[1] >= other[1]


MANY = trials(12)


def test_the_newest_trial_of_an_architecture_counts() -> None:
    old = replace(trials(1)[0], latency=estimate(5_000_000, Source.LOOKUP))
    new = replace(old, round=3, latency=estimate(6_000_000, Source.MEASURED))
    assert report_data([old, new]).latest() == [new]


@pytest.mark.parametrize("target_latency_ns", [0, -1])
def test_a_target_latency_of_zero_is_refused(target_latency_ns: int) -> None:
    with pytest.raises(ValueError, match="above 0"):
        report_data([], target_latency_ns=target_latency_ns)


def test_every_layer_is_drawn() -> None:
    for architecture in ZOO.values():
        drawing = ElementTree.fromstring(draw(architecture))
        boxes = list(drawing.iter("{http://www.w3.org/2000/svg}rect"))
        assert len(boxes) == sum(block.layers for block in architecture.blocks)


def test_table_for_the_terminal() -> None:
    data = report_data(trials(12))
    table = printed(data)
    for trial in data.measured_front():
        assert trial.latency is not None
        assert milliseconds(trial.latency.latency_ns) in table
        assert trial.architecture.id in table
    assert "from measurements alone" in table


def test_of_several_targets_the_front_has_the_latency_on_each(tmp_path: Path) -> None:
    combination = Combination((SearchTarget("a", 7_000_000), SearchTarget("b", 3_000_000)))
    made = []
    for trial in trials(6, measured_every=1):
        assert trial.latency is not None
        slower = estimate(5 * trial.latency.latency_ns, Source.MEASURED)
        ids = f"{trial.measurement_id}+{trial.measurement_id}"
        combined = combination.combine([trial.latency, slower])
        made.append(replace(trial, latency=combined, measurement_id=ids))
    data = report_data(made, targets=["phone/big/1t", "<board>/all/1t"])
    console = Console(width=240)
    with console.capture() as capture:
        console.print(front_table(data))
    page = text_of(write_report(data, tmp_path))
    for text in (capture.get(), page):
        assert "on phone/big/1t (ms)" in text
        assert "on <board>/all/1t (ms)" in text
        for trial in data.measured_front():
            for part in on_each_target(trial.latency):  # type: ignore[arg-type]
                assert milliseconds(part.latency_ns) in text
    assert data.measured_front()
    [table] = [t for t in read(tmp_path / "report.html").iter("table") if t.get("class") == "front"]
    columns = len(list(table.iter("th")))
    for row in table.iter("tr"):
        cells = [int(cell.get("colspan", 1)) for cell in (*row.iter("td"), *row.iter("th"))]
        assert sum(cells) == columns == 9


@pytest.mark.parametrize(
    ("latency_ns", "expected"),
    [
        (75_000_000, "75.0"),
        (7_520_000, "7.52"),
        (123_456_789, "123"),
        (999_999, "1.00"),
        (0, "0.00"),
    ],
)
def test_milliseconds(latency_ns: int, expected: str) -> None:
    assert milliseconds(latency_ns) == expected


def test_parity_plot_on_its_own(tmp_path: Path) -> None:
    e = evaluation()
    path = tmp_path / "parity.png"
    plot_parity(e.measured_ns, e.predicted_ns, e.lower_ns, e.upper_ns, "Held out", path)
    assert path.read_bytes().startswith(PNG)


def test_what_the_strategy_reported_is_drawn_round_by_round(tmp_path: Path) -> None:
    """The second round was a warm start or a measurement of the front, of which it says nothing."""
    first, third = (
        {"entropy": 38.0 - index, "approx_kl": 0.01, "clip_fraction": 0.0, "of_another": 1.0}
        for index in (0, 2)
    )
    data = report_data(trials(24), statistics={0: first, 2: third})
    text = text_of(write_report(data, tmp_path))
    assert "Learning of the strategy" in text
    assert (tmp_path / "learning.png").read_bytes().startswith(PNG)
    whole = json.loads((tmp_path / "report.json").read_text())
    assert whole["statistics"] == [{"round": 1, **first}, {"round": 3, **third}]


def test_without_statistics_nothing_is_said_about_learning(full: Path) -> None:
    assert "Learning of the strategy" not in text_of(full)
    assert not (full.parent / "learning.png").exists()
    assert json.loads((full.parent / "report.json").read_text())["statistics"] == []


def test_of_separate_targets_the_front_is_that_of_all_latencies(tmp_path: Path) -> None:
    combination = Combination((SearchTarget("a", 5_000_000), SearchTarget("b", 5_000_000)))
    made = []
    for index, trial in enumerate(trials(6, measured_every=1)):
        # Equally accurate: the more of one target's time, the less of the other's.
        ns = [2_000_000 + 1_000_000 * index, 9_000_000 - 1_000_000 * index]
        combined = combination.combine([estimate(each, Source.MEASURED) for each in ns])
        ids = f"{trial.measurement_id}+{trial.measurement_id}"
        made.append(replace(trial, accuracy=0.5, latency=combined, measurement_id=ids))
    names = ["phone/big/1t", "board/all/1t"]
    combined_only = report_data(made, targets=names)
    data = replace(combined_only, separate_targets=True)
    assert len(data.measured_front()) == 6
    on_combined = combined_only.measured_front()
    assert 0 < len(on_combined) < 6
    assert data.combined_front() == on_combined
    numbers = data.numbers_by_combined_latency()
    assert [data.measured_front()[number - 1] for number in numbers] == on_combined
    table = printed(data)
    shown = ", ".join(map(str, numbers))
    assert f"On the front by the combined latency: {shown}" in " ".join(table.split())
    page = text_of(write_report(data, tmp_path / "separate"))
    assert f"combined latency are numbers {shown}." in " ".join(page.split())
    assert (tmp_path / "separate" / "targets.png").read_bytes().startswith(PNG)
    assert not (write_report(combined_only, tmp_path / "one").parent / "targets.png").exists()
