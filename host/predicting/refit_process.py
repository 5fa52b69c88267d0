"""Fit predictors in a process of their own, so that fitting never holds up the daemon.

python -m host.predicting.refit_process       the side of the process, started by RefitProcess

The process reads pickled measurements from its standard input and answers with a pickled
predictor. It ends when its input does, also in the middle of a fit, and so with the daemon.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import BinaryIO

from host.predicting.fitting import fit_measured
from latency_models.predictor import Predictor
from latlab.common.log import start_logging
from latlab.domain.errors import NotEnoughData, Unavailable
from latlab.domain.measured_network import MeasuredNetwork

log = logging.getLogger(__name__)

FIT_TIMEOUT_S = 1800.0
NICENESS = 10
# One thread for each library that numpy and scipy may compute with.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1"
)


class RefitProcess:
    """Fits in a process of its own. It is started by the first fit and stays for the next,
    because scikit-learn takes seconds to import. `fit` is called by one thread at a time."""

    def __init__(self, timeout_s: float = FIT_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def fit(self, networks: Mapping[str, MeasuredNetwork]) -> tuple[Predictor, dict[str, str]]:
        """Call `fit_measured` in the process that fits predictors.

        Raises:
            NotEnoughData: There are too few networks.
            Unavailable: The process ended or took too long. The next fit starts a new one.
        """
        process = self._process = self._process or _start()
        if self._closed:
            process.kill()
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(self._timeout_s, process.kill)
        timer.start()
        try:
            pickle.dump(dict(networks), process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            answer = pickle.load(process.stdout)
        except Exception as error:  # a damaged pickle may raise anything
            self._process = None
            _end(process)
            raise Unavailable(
                f"no predictor was fitted: the process that fits it ended with exit code"
                f" {process.returncode}, or took more than {self._timeout_s:g} s"
            ) from error
        finally:
            timer.cancel()
        if isinstance(answer, Exception):
            raise answer
        predictor, set_aside = answer
        return predictor, set_aside

    def close(self) -> None:
        """End the process, and a fit that another thread waits for."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()
            process.wait()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "host.predicting.refit_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **ONE_THREAD},
        start_new_session=True,  # a Ctrl-C in the daemon's terminal is not for it
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # what was still to be written
                log.debug("the pipe of the refit process was broken", exc_info=True)


def main() -> None:
    """Answer requests to fit predictors until the standard input ends."""
    os.nice(NICENESS)
    # Whatever prints must not damage the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests: queue.SimpleQueue[Mapping[str, MeasuredNetwork]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=[sys.stdin.buffer, requests], daemon=True).start()
    while True:
        pickle.dump(_answer(requests.get()), answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


def _read(pipe: BinaryIO, requests: queue.SimpleQueue[Mapping[str, MeasuredNetwork]]) -> None:
    """Pass requests on, and end the process as soon as there can be no more."""
    try:
        while True:
            requests.put(pickle.load(pipe))
    finally:
        os._exit(0)


def _answer(
    networks: Mapping[str, MeasuredNetwork],
) -> tuple[Predictor, dict[str, str]] | Exception:
    try:
        return fit_measured(networks)
    except NotEnoughData as error:
        return error
    except Exception as error:
        log.exception("no predictor could be fitted on %d measurements", len(networks))
        return Unavailable(
            f"no predictor could be fitted: {type(error).__name__}: see the lab's log"
        )


if __name__ == "__main__":
    start_logging(rotates=False)
    main()
