"""The proxy task on a Ray cluster: one of two workers, on loopback, made for these tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from search.accuracy.accuracy import AccuracyFailure
from search.accuracy.data.datasets import Dataset, load_dataset, open_dataset
from search.accuracy.proxy import ProxyAccuracy
from search.accuracy.proxy_training import train_and_score
from tests.search.accuracy.stand_ins import LESS, dies_on_less, hangs
from tests.search.accuracy.test_proxy import IMPOSSIBLE, SMALL, TINY


@pytest.fixture(scope="module")
def few_digits() -> Dataset:
    return load_dataset("digits", resolution=16, train_images=256, val_images=128)


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """Of a cluster as a user would have it, to which these tests connect."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Off Linux Ray stays on loopback; otherwise it takes 127.0.0.1 for the host's address.
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 100 << 20}
        cluster = Cluster(initialize_head=True, head_node_args=node)
        yield cluster.address
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def on_ray(ray_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", ray_address)


@pytest.mark.usefixtures("on_ray")
def test_a_cluster_changes_nothing_and_failures_stay_in_their_place(few_digits: Dataset) -> None:
    done: list[int] = []
    accuracy = ProxyAccuracy(few_digits, TINY)
    assert accuracy.workers.at_once == 2
    assert accuracy.evaluate([SMALL, IMPOSSIBLE, LESS], done.append) == [
        train_and_score(SMALL, few_digits, TINY),
        train_and_score(IMPOSSIBLE, few_digits, TINY),
        train_and_score(LESS, few_digits, TINY),
    ]
    assert done == [1, 2, 3]


@pytest.mark.usefixtures("on_ray")
def test_a_cluster_reads_images_while_it_trains() -> None:
    data = open_dataset("digits", resolution=16, train_images=256, val_images=128)
    assert ProxyAccuracy(data, TINY).evaluate([LESS]) == [train_and_score(LESS, data, TINY)]


@pytest.mark.usefixtures("on_ray")
def test_a_worker_that_dies_fails_its_candidate_alone(
    few_digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.accuracy.proxy._indexed", dies_on_less)
    dead, sound = ProxyAccuracy(few_digits, TINY).evaluate([LESS, SMALL])
    assert isinstance(dead, AccuracyFailure)
    assert sound == 0.5


@pytest.mark.usefixtures("on_ray")
def test_a_worker_that_hangs_is_given_up(
    few_digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.accuracy.proxy._indexed", hangs)
    monkeypatch.setattr("search.accuracy.proxy.PROCESS_START_S", 0.5)
    [hung] = ProxyAccuracy(few_digits, replace(TINY, limit_s=0.0)).evaluate([SMALL])
    assert isinstance(hung, AccuracyFailure)


def test_without_ray_what_to_install_is_told(
    few_digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"install latency-lab\[ray\]"):
        ProxyAccuracy(few_digits, TINY)


def test_a_cluster_that_is_not_there_is_told(
    few_digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ValueError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        ProxyAccuracy(few_digits, TINY)
