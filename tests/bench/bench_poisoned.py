"""programs.poisoned: databases with odd measurements that break something.

Each database holds a dozen ordinary measurements and one to ten odd ones. It counts if
prediction, look-up, refit, listing, measuring or the search's view of the target fails, or if
the doctor does not name an odd measurement that cannot be used.

Most run in one process through the real services over gRPC, with a device that answers at once.
Some run through a real daemon and `latlab doctor`, without devices. QUICK=1 does a tenth.

python -m tests.bench.bench_poisoned
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from host.database.engine import Database
from host.devices import worker
from host.doctor.measurements import measurement_findings
from host.home.paths import LabHome, sqlite_url
from latlab.client.client import LatencyClient
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure
from search.latency.target_lab import TargetLab
from tests.bench.figures import exactly, quick, report
from tests.host.board_lab import running_lab
from tests.host.fake_lab import TARGET
from tests.host.poisons import POISONS, Poison, poison
from tests.host.stored_lab import SPEC, Stored, StoredPool, stored_lab, write_ordinary

DATABASES = 500
THROUGH_A_DAEMON = 20
MOST_ODD = 10
SEED = 20262
DOCTOR_TIMEOUT_S = 120.0


class Wrong(Exception):
    """A failure in a few words."""


def main() -> None:
    databases, daemons = quick(DATABASES), quick(THROUGH_A_DAEMON)
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = Database(sqlite_url(folder / "template.db"))
        stored = write_ordinary(template, folder)
        template.close()
        tasks = [(folder, stored, seed, seed < daemons) for seed in range(databases)]
        # Each has a fresh process, because gRPC does not survive a fork.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
            reasons = list(pool.map(why_wrong, *zip(*tasks, strict=True)))
    wrong = [reason for reason in reasons if reason]
    report(
        "programs.poisoned",
        len(wrong),
        "databases",
        exactly(0),
        databases=databases,
        through_a_daemon=daemons,
        kinds_of_odd_measurements=len(POISONS),
        reasons=dict(Counter(wrong).most_common(10)),
        took_s=round(time.monotonic() - start_s),
        seed=SEED,
    )


def why_wrong(folder: Path, stored: list[Stored], seed: int, through_daemon: bool) -> str:
    """Return what failed on one database; "" if nothing did."""
    logging.disable(logging.CRITICAL)
    worker.IDLE_S = 0.01  # so that it ends sooner
    rng = random.Random(f"{SEED} {seed}")
    chosen = rng.choices(POISONS, k=rng.randint(1, MOST_ODD))
    home = LabHome(folder / f"home-{seed}")
    home.create()
    database = home.root / "lab.db"
    shutil.copy(folder / "template.db", database)
    odd = [(poison(database, home.root, rng.choice(stored), kind, rng), kind) for kind in chosen]
    try:
        if through_daemon:
            with running_lab(home) as client:
                use(client, stored, odd)
                named_by_command(home, odd)
        else:
            opened = Database(sqlite_url(database))
            with stored_lab(opened, home.root) as (client, _):
                use(client, stored, odd)
                named(client, odd)
            opened.close()
    except Exception as error:  # the figure counts any error
        return f"{type(error).__name__}: {str(error)[:80]}"
    finally:
        shutil.rmtree(home.root)
    return ""


def use(client: LatencyClient, stored: list[Stored], odd: list[tuple[str, Poison]]) -> None:
    """Do everything that a lab does with a target.

    Any error is a wrong answer.
    """
    networks = [one.network.kernels for one in stored]
    check_sane("predict", client.predict(TARGET.id, networks))
    client.refit(TARGET.id)
    check_sane("predict after a refit", client.predict(TARGET.id, networks))
    by_id = client.measured_networks_by_id(TARGET.id)
    if missing := {one.id for one in stored} - by_id.keys():
        raise Wrong(f"{len(missing)} ordinary measurements are not listed")
    if any(kind.unusable and id_ in by_id for id_, kind in odd):
        raise Wrong("one of no use is listed")
    check_sane("look-up", client.look_up(list(by_id)))
    lab = TargetLab(client, TARGET, StoredPool.of(stored), SPEC)
    architectures = [one.architecture for one in stored]
    check_sane("the search's prediction", lab.predict(architectures))
    for outcome, one in zip(lab.measure(architectures), stored, strict=True):
        if isinstance(outcome, Failure):
            raise Wrong(f"what is stored is not answered: {outcome.message}")
        if outcome.measurement_id != one.id:
            raise Wrong("what is stored was measured again")
    if sum(1 for _ in client.stored.list(TARGET.id)) < len(stored) + len(odd):
        raise Wrong("not all are in the list of what is stored")


def check_sane(what: str, estimates: list[LatencyEstimate]) -> None:
    for estimate in estimates:
        if not 1 <= estimate.lower_ns <= estimate.latency_ns <= estimate.upper_ns:
            raise Wrong(f"{what} is no estimate")


def named(client: LatencyClient, odd: list[tuple[str, Poison]]) -> None:
    found = "\n".join(finding.found for finding in measurement_findings(client))
    check_named(found, odd)


def named_by_command(home: LabHome, odd: list[tuple[str, Poison]]) -> None:
    """Check that `latlab doctor`, in a process of its own, names the odd measurements."""
    environment = {**os.environ, "LATLAB_HOME": str(home.root), "COLUMNS": "1000"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.bench_poisoned", "doctor"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DOCTOR_TIMEOUT_S,
        check=False,
    )
    check_named(done.stdout, odd)


def check_named(found: str, odd: list[tuple[str, Poison]]) -> None:
    for id_, kind in odd:
        if (id_ in found) != kind.unusable:
            raise Wrong(f"the doctor is wrong about {kind.name}")


if __name__ == "__main__":
    if sys.argv[1:] == ["doctor"]:
        from search.cli import app

        app(["doctor"])
    main()
