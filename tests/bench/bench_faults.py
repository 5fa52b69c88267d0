"""faults.jobs_lost, .jobs_doubled, .visits_lost, .visits_doubled: a fault in mid-visit, again and
again.

Afterwards the lab's database is compared with what the device's agent has written down. Each fault
has a lab of its own, and those that were finished are not repeated after an interruption.

python -m tests.bench.bench_faults [ROUNDS [FAULT...]]: the rounds of each fault, by default 10.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path

import pytest

from host.home import lab_process
from host.home.paths import LabHome
from latlab.domain.program import ProgramFile
from latlab.export import export_program
from tests.bench.figures import exactly, quick, report
from tests.bench.finished import Finished
from tests.faults import board, phone
from tests.faults.ledger import read_ledger
from tests.faults.losses import Losses, losses
from tests.virtual_phone.phone import NoPhone
from tests.virtual_phone.phone_lab import DATA_BYTES, PhoneLab, lab_with_phone
from tests.virtual_phone.stand_in_bundle import write_stand_in

ROUNDS = 10
LASTING_S = 12.0  # longer than any call to an agent may take


def small_program(folder: Path) -> ProgramFile:
    from torch import nn

    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 900, 10))
    program, data = export_program(network.eval(), (1, 3, 32, 32))
    path = folder / "program.pte"
    path.write_bytes(data)
    return ProgramFile(program, path)


def phone_rounds(fault: Callable[[PhoneLab], None], rounds: int, folder: Path) -> Losses:
    """Raises NoPhone."""
    runner = LabHome.from_environment().runner
    write_stand_in(folder / "bundles", runner, agent="tests.faults.recording_agent")
    program = small_program(folder)
    with lab_with_phone(folder, folder / "bundles", DATA_BYTES) as lab:
        for number in range(rounds):
            lab.lasting_s = LASTING_S if number % 2 else PhoneLab.lasting_s
            survive(lambda: phone.measure_through(lab, program, fault))
        lab_process.up(lab.home)
        survive(lambda: phone.settle(lab))
        return losses(lab.home, read_ledger(lab.ledger), rounds)


def board_rounds(fault: board.BoardFault, rounds: int, folder: Path) -> Losses:
    with board.running_board_lab(folder) as lab:
        for _ in range(rounds):
            survive(lambda: lab.measure_through(fault))
        return losses(lab.home, read_ledger(lab.ledger), rounds)


def survive(measure: Callable[[], object]) -> None:
    """A round that does not end as it should is printed; what it lost is counted afterwards."""
    try:
        measure()
    except Exception:
        traceback.print_exc()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else quick(ROUNDS)
    chosen = set(sys.argv[2:])
    every: dict[str, Callable[[int, Path], Losses]] = {
        **{fault.__name__: partial(phone_rounds, fault) for fault in phone.FAULTS},
        **{fault.__name__: partial(board_rounds, fault) for fault in board.FAULTS},
    }
    finished = Finished(f"faults-in-{rounds}-rounds")
    found: dict[str, Losses] = {}
    for name, count in every.items():
        if chosen and name not in chosen:
            continue
        if (kept := finished.get(name)) is not None:
            found[name] = Losses(**kept[0])
            continue
        since_s = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as folder:
                found[name] = count(rounds, Path(folder))
        except (NoPhone, pytest.skip.Exception) as reason:
            print(f"no rounds of {name}: {reason}", file=sys.stderr)
            continue
        finished.add(name, [asdict(found[name])])
        print(f"{name}: {found[name]} in {time.monotonic() - since_s:.0f} s", file=sys.stderr)
    if not found:
        return
    for field in fields(Losses):
        by_fault = {name: getattr(each, field.name) for name, each in found.items()}
        report(
            f"faults.{field.name}",
            sum(by_fault.values()),
            field.name.split("_")[0],
            exactly(0),
            rounds=rounds,
            faults=list(found),
            at={name: count for name, count in by_fault.items() if count},
        )
    finished.forget()


if __name__ == "__main__":
    main()
