from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import optuna
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from latlab.domain.estimate import LatencyEstimate, Source
from search.space.architecture import Architecture, Block
from search.study.combined_latency import Combination
from search.study.settings import (
    ProxyBudget,
    SearchTarget,
    StrategyName,
    StudyError,
    TrainingSource,
)
from search.study.study import open_study, read_settings, read_study
from search.study.trial import Trial, without_undue_reward
from tests.search.drawn import architectures
from tests.search.fakes import TARGET_ID, TARGET_NS, estimate, settings

names = st.text(max_size=8)
shares = st.floats(0, 1)
nanoseconds = st.integers(1, 2**53)
estimates = st.builds(
    LatencyEstimate,
    nanoseconds,
    nanoseconds,
    nanoseconds,
    st.sampled_from(Source),
    shares,
    st.integers(0, 10**6),
    st.floats(0, 1e9),
)
combined = st.lists(estimates, min_size=2, max_size=3).map(
    lambda parts: Combination(
        tuple(SearchTarget(str(number), 10**6) for number in range(len(parts)))
    ).combine(parts)
)
latencies = st.none() | estimates | combined
trials = st.builds(
    Trial,
    architectures(max_blocks=3),
    st.integers(0, 9),
    st.none() | shares,
    latencies,
    st.none() | st.floats(-1e3, 1e3),
    latencies,
    st.none() | names,
    st.none() | names,
    st.floats(0, 1e6),
    st.integers(0, 2),
    st.lists(shares, max_size=3).map(tuple),
    st.integers(0, 8),
)
rounds = st.lists(
    st.tuples(st.lists(trials, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=4
)
in_one_directory = hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)


def some_round(number: int) -> list[Trial]:
    block = Block("conv", 1, 3, 2, 0.0, "none", 16, 1)
    networks = [Architecture(stem_channels, (block,), 8) for stem_channels in (8, 16)]
    return [Trial(a, number, 0.5, estimate(10**6), 0.5) for a in networks]


@in_one_directory
@given(rounds)
def test_what_is_appended_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[tuple[list[Trial], bool]]
) -> None:
    directory = tmp_path_factory.mktemp("runs") / "study"
    for appended, asked in rounds:
        with open_study(directory, settings()) as study:  # resumed each time
            study.latest()  # which is asked before and after
            study.append(appended, asked=asked)
    read = read_study(directory)
    assert [(list(r.trials), r.asked) for r in read.rounds] == rounds
    assert [r.index for r in read.rounds] == list(range(len(rounds)))
    assert read.settings == settings()
    everything = [trial for appended, _ in rounds for trial in appended]
    newest = {trial.architecture: without_undue_reward(trial) for trial in everything}
    assert read.latest() == study.latest() == newest


@pytest.fixture(scope="module")
def three_rounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "study"
    with open_study(directory, settings()) as study:
        for number in range(3):
            study.append(some_round(number))
    return directory


def test_cut_off_at_any_byte_of_an_append_the_rounds_before_it_are_read(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    with open_study(tmp_path, settings()) as study:
        study.append(some_round(0))
        start = journal.stat().st_size
        study.append(some_round(1))
    finished, whole = study.rounds, journal.read_bytes()
    for cut in range(start, len(whole)):
        journal.write_bytes(whole[:cut])
        assert read_study(tmp_path).rounds == finished[:1]
    journal.write_bytes(whole)
    assert read_study(tmp_path).rounds == finished


@in_one_directory
@given(data=st.data())
def test_cut_off_at_any_byte_it_goes_on_after_its_last_whole_round(
    three_rounds: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = (three_rounds / "journal.log").read_bytes()
    directory = tmp_path_factory.mktemp("runs") / "study"
    shutil.copytree(three_rounds, directory)
    (directory / "journal.log").write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with open_study(directory, settings()) as study:
        before = list(study.rounds)
        study.append(some_round(len(before)))
    rounds = read_study(directory).rounds
    assert rounds[:-1] == before == read_study(three_rounds).rounds[: len(before)]
    assert list(rounds[-1].trials) == some_round(len(before))
    assert len(_in_optuna(directory).trials) == 2 * len(rounds)


def _in_optuna(directory: Path) -> optuna.Study:
    backend = optuna.storages.journal.JournalFileBackend(str(directory / "journal.log"))
    return optuna.load_study(
        study_name=directory.name, storage=optuna.storages.JournalStorage(backend)
    )


def test_statistics_of_a_round_are_read_back(tmp_path: Path) -> None:
    with open_study(tmp_path, settings()) as study:
        study.append(some_round(0), statistics={"entropy": 38.5, "baseline": 0.5})
        study.append(some_round(1))
    assert [r.statistics for r in read_study(tmp_path).rounds] == [
        {"entropy": 38.5, "baseline": 0.5},
        {},
    ]
    assert (tmp_path / "journal.log").read_text().count('"statistics"') == len(some_round(0))
    assert len(_in_optuna(tmp_path).trials) == 2 * len(some_round(0))


def test_separate_targets_are_objectives_in_the_journal(tmp_path: Path) -> None:
    targets = (SearchTarget("phone", 10**6), SearchTarget("board", 10**6))
    made_with = settings(targets=targets, strategy=StrategyName.NSGA2, separate_targets=True)
    combined = Combination(targets).combine([estimate(10**6), estimate(3 * 10**6)])
    for number in range(2):
        with open_study(tmp_path, made_with) as study:
            study.append([replace(t, latency=combined) for t in some_round(number)])
    study_in_optuna = _in_optuna(tmp_path)
    names = ["accuracy", "latency_ms on phone", "latency_ms on board"]
    assert study_in_optuna.metric_names == names
    assert [t.values for t in study_in_optuna.trials] == [[0.5, 1.0, 3.0]] * 4
    assert all(t.latency == combined for r in read_study(tmp_path).rounds for t in r.trials)


@pytest.mark.parametrize("damaged", ["[1]", '{"entropy": "high"}', '{"entropy": NaN}', "null"])
def test_damaged_statistics_are_reported(tmp_path: Path, damaged: str) -> None:
    with open_study(tmp_path, settings()) as study:
        study.append(some_round(0), statistics={"entropy": 38.5})
    journal = tmp_path / "journal.log"
    journal.write_text(journal.read_text().replace('{"entropy": 38.5}', damaged))
    with pytest.raises(StudyError, match=r"line \d+ of .* is damaged"):
        read_study(tmp_path)


def test_a_study_from_before_device_time_was_counted_is_read(tmp_path: Path) -> None:
    with open_study(tmp_path, settings()) as study:
        study.append([replace(trial, device_s=2.0) for trial in some_round(0)])
    journal = tmp_path / "journal.log"
    journal.write_bytes(journal.read_bytes().replace(b', "device_s": 2.0', b""))
    [read] = read_study(tmp_path).rounds
    assert list(read.trials) == some_round(0)


def test_optuna_reads_the_journal_as_its_own(tmp_path: Path) -> None:
    slow = replace(some_round(0)[0], latency=estimate(3_000_000), measurement_id="m1")
    lost = replace(some_round(0)[1], accuracy=None, reward=None, failure="it failed")
    crashed = replace(some_round(0)[1], reward=None, failure="it crashed")
    with open_study(tmp_path, settings()) as study:
        study.append([slow, lost, crashed])
    opened = _in_optuna(tmp_path)
    assert [direction.name for direction in opened.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert opened.metric_names == ["accuracy", "latency_ms"]
    assert [trial.state.name for trial in opened.trials] == ["COMPLETE", "FAIL", "FAIL"]
    assert opened.trials[0].values == [0.5, 3.0]
    assert opened.trials[0].user_attrs["measurement_id"] == "m1"
    assert opened.trials[1].user_attrs["failure"] == "it failed"
    assert [trial.number for trial in opened.best_trials] == [0]


def test_a_note_made_in_the_dashboard_stays(tmp_path: Path) -> None:
    with open_study(tmp_path, settings()) as study:
        study.append(some_round(0))
    _in_optuna(tmp_path).set_user_attr("note", "promising")
    with open_study(tmp_path, settings()) as study:
        study.append(some_round(1))
    assert len(read_study(tmp_path).rounds) == 2
    assert len(_in_optuna(tmp_path).trials) == 4
    assert _in_optuna(tmp_path).user_attrs == {"note": "promising"}


def test_a_round_knows_what_it_took_without_the_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    for opened_s in (100.0, 900.0):
        now_s = opened_s
        with open_study(tmp_path, settings()) as study:
            for took_s in (3.0, 5.5):
                now_s += took_s
                study.append(some_round(len(study.rounds)))
    durations_s = [finished.duration_s for finished in read_study(tmp_path).rounds]
    assert durations_s == pytest.approx([3.0, 5.5, 3.0, 5.5])
    shown = [trial.duration for trial in _in_optuna(tmp_path).trials[::2]]
    assert shown == [timedelta(seconds=duration_s) for duration_s in durations_s]


def test_a_journal_that_does_not_tell_how_long_rounds_took_is_read(tmp_path: Path) -> None:
    with open_study(tmp_path, settings()) as study:
        study.append(some_round(0))
    journal = tmp_path / "journal.log"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    for record in records:
        if "user_attrs" in record:  # Optuna's create_trial writes one time twice
            record["datetime_start"] = record["datetime_complete"]
    journal.write_text("".join(json.dumps(record) + "\n" for record in records))
    [finished] = read_study(tmp_path).rounds
    assert finished == study.rounds[0]
    assert finished.duration_s == 0


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    with open_study(tmp_path, settings()):
        pass
    with (
        pytest.raises(StudyError, match=r"round_size was 6 and is now 7.*seed was 0 and is now 1"),
        open_study(tmp_path, settings(round_size=7, seed=1)),
    ):
        pass
    with open_study(tmp_path, settings()):
        pass


def test_a_study_of_another_space_is_refused(tmp_path: Path) -> None:
    with open_study(tmp_path, settings()):
        pass
    with (
        pytest.raises(StudyError, match=r"space was 'small' and is now 'mnasnet'\. Use those"),
        open_study(tmp_path, settings(space="mnasnet")),
    ):
        pass


def test_a_study_from_before_limits_and_several_targets_is_resumed(
    tmp_path: Path,
) -> None:
    older = {
        "space": "small",
        "strategy": "random",
        "target_id": TARGET_ID,
        "target_ns": TARGET_NS,
        "accuracy": {"dataset": "digits", "epochs": 2},
        "alpha": -0.07,
        "beta": -0.07,
        "round_size": 6,
        "seed": 0,
    }
    (tmp_path / "study.json").write_text(json.dumps(older))
    earlier = ProxyBudget(resolution=32, distinct_networks=False, epochs=2)
    same = settings(accuracy=TrainingSource("digits", earlier, keeps_test_images=False))
    with open_study(tmp_path, same) as study:
        assert study.settings == same
    with (
        pytest.raises(StudyError, match="distinct_networks was False and is now True"),
        open_study(tmp_path, settings()),
    ):
        pass


def test_two_searches_cannot_run_one_study(tmp_path: Path) -> None:
    with (
        open_study(tmp_path, settings()),
        pytest.raises(StudyError, match="another search is running"),
        open_study(tmp_path, settings()),
    ):
        pass


def test_a_killed_search_holds_no_lock(tmp_path: Path) -> None:
    hold = (
        "import sys; from pathlib import Path; from search.study.study import open_study; "
        "from tests.search.fakes import settings\n"
        f"with open_study(Path({str(tmp_path)!r}), settings()): print('held'); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-uc", hold], stdin=pipe, stdout=pipe) as search:
        assert search.stdout is not None
        assert search.stdout.readline() == b"held\n"
        with pytest.raises(StudyError, match="another"), open_study(tmp_path, settings()):
            pass
        search.kill()
        search.wait()
    with open_study(tmp_path, settings()):
        pass


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there is no study"):
        read_study(tmp_path / "nothing")
    with pytest.raises(StudyError, match="there is no study"):
        read_settings(tmp_path / "nothing")
    with open_study(tmp_path, settings()):
        pass
    assert read_settings(tmp_path) == settings()
    with pytest.raises(StudyError, match="empty: no round of it has finished"):
        read_study(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"space": "small"}', '{"colour": 1}'])
def test_damaged_settings_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(StudyError, match=r"study\.json was made by another version or is damaged"):
        read_settings(tmp_path)


def test_a_damaged_round_is_named_not_dropped(tmp_path: Path) -> None:
    with open_study(tmp_path, settings()) as study:
        study.append(some_round(0))
    journal = tmp_path / "journal.log"
    damaged = journal.read_bytes().replace(b'"accuracy"', b'"accurate"', 1)
    journal.write_bytes(damaged.replace(b"latency_ns", b"latency_xs"))
    with pytest.raises(StudyError, match=r"line \d+ of .*journal\.log is damaged"):
        read_study(tmp_path)
    with pytest.raises(StudyError, match="damaged"), open_study(tmp_path, settings()):
        pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": ()}, "at least one target"),
        ({"round_size": 0}, "at least one architecture"),
        ({"seed": -1}, "a seed must be from 0"),
        ({"targets": (SearchTarget("a", 5), SearchTarget("a", 7))}, "each target once"),
        ({"targets": (SearchTarget("a", 5, 1.0),)}, "for several targets only: leave it out"),
        ({"targets": (SearchTarget("a", 5, 1.0), SearchTarget("b", 5))}, "each of the 2 targets"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**change)
