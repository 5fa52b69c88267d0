"""The processes that train candidates, on this machine or on a Ray cluster."""

from __future__ import annotations

import multiprocessing
import os
import socket
from dataclasses import dataclass

import torch
from joblib import cpu_count
from joblib.externals.loky.process_executor import BrokenProcessPool
from joblib.parallel import ParallelBackendBase

CONNECT_S = 10.0


@dataclass(frozen=True)
class Workers:
    """Processes that train candidates.

    Attributes:
        backend: joblib's backend; None for its own processes.
        at_once: Number of trainings that run at the same time.
        lost: Errors that joblib raises when a worker dies or hangs.
    """

    backend: ParallelBackendBase | None
    at_once: int
    lost: tuple[type[Exception], ...]


def local_workers(jobs: int | None = None) -> Workers:
    """Return workers that train candidates in processes of this machine.

    Args:
        jobs: Number of trainings at the same time. None stands for one on each GPU, or on each
            core that this process may use where there is no GPU.
    """
    at_once = jobs or torch.cuda.device_count() or cpu_count()
    return Workers(None, at_once, (BrokenProcessPool, multiprocessing.TimeoutError))


def ray_workers() -> Workers:
    """Return workers that train candidates on the Ray cluster that RAY_ADDRESS names.

    There is one for each GPU of the cluster, or for each CPU where it has no GPU.

    Raises:
        ValueError: Ray is not installed, or the cluster does not answer or is too small.
    """
    try:
        import ray
        from ray.util.joblib.ray_backend import RayBackend
    except ImportError as error:
        raise ValueError(
            "RAY_ADDRESS is set, but Ray is not installed: install latency-lab[ray], or unset it"
        ) from error

    class Backend(RayBackend):  # type: ignore[misc]
        # joblib allows no generators for backends that derive from its multiprocessing backend,
        # whose pools can hang when a generator is dropped. Ray's pool is not such a pool.
        supports_return_generator = True

    address = os.environ["RAY_ADDRESS"]
    host, _, port = address.rpartition(":")
    try:
        if port.isdecimal():  # Ray would try for minutes.
            socket.create_connection((host, int(port)), CONNECT_S).close()
        ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level="ERROR")
    except OSError as error:
        raise ValueError(
            f"no Ray cluster answers at {address}, which RAY_ADDRESS names ({error}): start it, "
            "or unset RAY_ADDRESS"
        ) from error
    resources = ray.cluster_resources()
    cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    at_once = gpus or cpus
    if cpus < max(2, at_once):
        raise ValueError(
            f"the Ray cluster at {address} has {cpus} CPUs: give it at least two, and one for each "
            "GPU"
        )
    # A single GPU has two workers as well, one of which idles: see ProxyAccuracy.
    needs = {"num_gpus": min(1, gpus / 2)} if gpus else {}
    lost = (
        ray.exceptions.RayActorError,
        ray.exceptions.OutOfMemoryError,
        multiprocessing.TimeoutError,
    )
    return Workers(Backend(ray_remote_args=needs), at_once, lost)
