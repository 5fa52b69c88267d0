"""Measurements as no device should bring them, and rows as no version writes them: written
into a database's file, past all that checks what is written."""

from __future__ import annotations

import json
import math
import random
import sqlite3
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import KernelTrace, Visit
from tests.host.stored_lab import RUNS, Stored, program_file, visit, write

HOUR_NS = 3_600 * 10**9


@dataclass
class Odd:
    """A measurement about to be written: of what, its visits, its kernels' times."""

    kernels: tuple[Kernel, ...]
    visits: list[Visit]
    kernel_ns: tuple[float, ...] | None

    def change(self, **fields: object) -> None:
        self.visits = [replace(one, **fields) for one in self.visits]  # type: ignore[arg-type]

    def condition(self, **fields: object) -> None:
        odd = replace(self.visits[0].before, **fields)  # type: ignore[arg-type]
        self.change(before=odd, after=odd)

    def take(self, latency_ns: int) -> None:
        self.change(wall_ns=(latency_ns,) * RUNS, cpu_ns=(latency_ns,) * RUNS)


@dataclass(frozen=True)
class Poison:
    """numbers: of what was measured, before it is written; damage: of the rows, afterwards.
    unusable: whether it cannot be used for anything, and must be named."""

    name: str
    unusable: bool
    numbers: Callable[[Odd, random.Random], None] | None = None
    damage: tuple[str, str, object] | None = None  # table, column, and value or function


def _reading(kind: str = k.CLAMP, shape: Sequence[int] = (1, 1)) -> tuple[Kernel, ...]:
    return (Kernel(kind, (tuple(shape),), tuple(shape)),)


def _zero_relu(odd: Odd, rng: random.Random) -> None:
    odd.kernels, odd.kernel_ns = _reading(), (0.0,)
    odd.take(40)


def _no_kernels(odd: Odd, rng: random.Random) -> None:
    odd.kernels, odd.kernel_ns = (), rng.choice([(), None])
    odd.take(40)


def _own_kind(odd: Odd, rng: random.Random) -> None:
    odd.kernels, odd.kernel_ns = _reading("portable:erf", (1, 64)), (2_000.0,)


def _zero_times(odd: Odd, rng: random.Random) -> None:
    odd.kernel_ns = (0.0,) * len(odd.kernels)


def _slow(odd: Odd, rng: random.Random) -> None:
    odd.take(1_000 * odd.visits[0].wall_ns[0])


def _fast(odd: Odd, rng: random.Random) -> None:
    odd.take(max(1, odd.visits[0].wall_ns[0] // 1_000))


def _slow_kernels(odd: Odd, rng: random.Random) -> None:
    odd.kernel_ns = tuple(1_000.0 * ns for ns in odd.kernel_ns or ())


def _edge(odd: Odd, rng: random.Random) -> None:
    odd.take(rng.choice([1, 2, 999, HOUR_NS]))


def _probes(odd: Odd, rng: random.Random) -> None:
    odd.condition(memory_probe_ns=rng.choice([None, 0, 1, 3_000_000, 2**62]))


def _untraced(odd: Odd, rng: random.Random) -> None:
    odd.visits, odd.kernel_ns = [one for one in odd.visits if not one.traced], None


def _zero_wall(odd: Odd, rng: random.Random) -> None:
    odd.take(0)


def _negative_wall(odd: Odd, rng: random.Random) -> None:
    odd.take(-rng.randint(1, 10**9))


def _negative_cpu(odd: Odd, rng: random.Random) -> None:
    odd.change(cpu_ns=(-5,) * RUNS)


def _odd_time(odd: Odd, rng: random.Random) -> None:
    times = list(odd.kernel_ns or ())
    times[rng.randrange(len(times))] = rng.choice([math.nan, math.inf, -math.inf, -1.0, 1e300])
    odd.kernel_ns = tuple(times)


def _times_for_others(odd: Odd, rng: random.Random) -> None:
    odd.kernel_ns = (odd.kernel_ns or ())[: rng.randint(0, 3)] + (1.0,) * 2


def _not_parallel(odd: Odd, rng: random.Random) -> None:
    odd.change(**{rng.choice(["cpu_ns", "involuntary_switches"]): (0,) * (RUNS - 1)})


def _empty(odd: Odd, rng: random.Random) -> None:
    odd.change(wall_ns=(), cpu_ns=(), involuntary_switches=(), kernel_traces=())


def _spoiled(odd: Odd, rng: random.Random) -> None:
    odd.change(involuntary_switches=(1,) * RUNS)


def _only_traced(odd: Odd, rng: random.Random) -> None:
    odd.visits = [one for one in odd.visits if one.traced]


def _no_temperature(odd: Odd, rng: random.Random) -> None:
    odd.condition(temperature_c=rng.choice([math.nan, math.inf, -math.inf, -1e9]))


def _negative_probe(odd: Odd, rng: random.Random) -> None:
    odd.condition(memory_probe_ns=-rng.randint(1, 10**9))


def _ragged_trace(odd: Odd, rng: random.Random) -> None:
    odd.visits[-1] = replace(odd.visits[-1], kernel_traces=(KernelTrace("Add (ND)", (1, 2)),))


def _larger_than_devices(odd: Odd, rng: random.Random) -> None:
    odd.kernels, odd.kernel_ns = _reading(k.ADD, (2**31, 2**31, 2**31)), (5.0,)


def _cut(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value[: len(value) - 3]


def _not_utf8(value: object) -> bytes:
    """As a BLOB in a column of texts; SQLite keeps it."""
    return str(value).encode()[:-1] + b"\xff\xfe}"


def _with_unknown(value: object) -> str:
    return json.dumps({**json.loads(str(value)), "of_a_newer_version": 1})


def _without(name: str) -> Callable[[object], str]:
    def drop(value: object) -> str:
        fields = json.loads(str(value))
        del fields[name]
        return json.dumps(fields)

    return drop


def _with(name: str, odd: object) -> Callable[[object], str]:
    return lambda value: json.dumps({**json.loads(str(value)), name: odd})


NUMBERS = [
    Poison(numbers.__name__.strip("_"), unusable, numbers)
    for unusable, kinds in (
        (
            False,
            (
                _zero_relu,
                _no_kernels,
                _own_kind,
                _zero_times,
                _slow,
                _fast,
                _slow_kernels,
                _edge,
                _probes,
                _untraced,
            ),
        ),
        (
            True,
            (
                _zero_wall,
                _negative_wall,
                _negative_cpu,
                _odd_time,
                _times_for_others,
                _not_parallel,
                _empty,
                _spoiled,
                _only_traced,
                _no_temperature,
                _negative_probe,
                _ragged_trace,
                _larger_than_devices,
            ),
        ),
    )
    for numbers in kinds
]

DAMAGES = [
    Poison(f"{table}.{column} {label}", unusable, damage=(table, column, value))
    for unusable, table, column, label, value in (
        (True, "visits", "wall_ns", "cut", _cut),
        (True, "visits", "wall_ns", "a text", "damaged"),
        (True, "visits", "cpu_ns", "cut", _cut),
        (True, "visits", "cpu_ns", "none", None),
        (True, "visits", "involuntary_switches", "empty", b""),
        (True, "visits", "warmup_runs", "none", None),
        (True, "visits", "load_ns", "a text", "soon"),
        (True, "visits", "peak_rss_bytes", "a text", "much"),
        (True, "visits", "trace_ns", "cut", _cut),
        (True, "visits", "trace_names", "no JSON", "[1, 2"),
        (True, "visits", "trace_names", "numbers", "[1]"),
        (True, "visits", "conditions_before", "no JSON", "{"),
        (True, "visits", "conditions_before", "no object", "[]"),
        (True, "visits", "conditions_after", "none", None),
        (True, "visits", "conditions_after", "no UTF-8", _not_utf8),
        (True, "visits", "conditions_after", "without its time", _without("unix_ns")),
        (True, "visits", "conditions_after", "a text for a number", _with("temperature_c", "hot")),
        (False, "visits", "conditions_before", "of a newer version", _with_unknown),
        (False, "visits", "conditions_before", "of an older version", _without("throttled")),
        (True, "visits", "failure_kind", "unknown", "of_a_newer_version"),
        (True, "jobs", "spec", "no JSON", "{"),
        (True, "jobs", "spec", "no object", "7"),
        (True, "jobs", "spec", "of a newer version", _with_unknown),
        (True, "jobs", "spec", "no UTF-8", _not_utf8),
        (True, "jobs", "spec", "that makes no sense", _with("min_visits", 0)),
        (True, "jobs", "spec", "a text for a number", _with("tolerance", "tight")),
        (True, "measurements", "unix_ns", "a text", "yesterday"),
        (True, "kernel_timings", "mean_ns", "cut", _cut),
        (True, "kernel_timings", "mean_ns", "a text", "damaged"),
        (True, "kernel_timings", "mean_ns", "empty", b""),
        (True, "programs", "kernel_ids", "cut", _cut),
        (True, "programs", "kernel_ids", "missing", struct.pack("<q", 999_999)),
        (True, "kernels", "fields", "no JSON", "{"),
        (True, "kernels", "fields", "of a newer version", _with_unknown),
        (True, "kernels", "fields", "without its shape", _without("output")),
        (True, "kernels", "fields", "of another kernel", _with("dilation", 7)),
        (True, "kernels", "fields", "a number out of range", _with("groups", 2**40)),
        (True, "kernels", "fields", "a text for a number", _with("groups", "1")),
    )
]

POISONS = [*NUMBERS, *DAMAGES]

# The row of a measurement in each table.
_ROWS = {
    "visits": "job_id = (SELECT job_id FROM measurements WHERE id = ?)",
    "jobs": "id = (SELECT job_id FROM measurements WHERE id = ?)",
    "measurements": "id = ?",
    "kernel_timings": "measurement_id = ?",
    "programs": "sha256 = (SELECT program_sha256 FROM jobs JOIN measurements"
    " ON jobs.id = job_id WHERE measurements.id = ?)",
}


def poison(database: Path, folder: Path, base: Stored, chosen: Poison, rng: random.Random) -> str:
    """Writes one odd measurement, of a network like `base`; its id."""
    number = rng.getrandbits(64)
    # A kernel of its own, so that damage to it is no damage to others.
    width = rng.randrange(1, 2**20)
    own = Kernel(k.ADD, ((1, width), (1, width)), (1, width))
    odd = Odd(
        (*base.network.kernels, own),
        [visit(round(base.network.latency_ns)) for _ in range(3)],
        (*(base.network.kernel_ns or ()), 1_000.0),
    )
    odd.visits.append(visit(round(base.network.latency_ns), traced=True))
    if chosen.numbers is not None:
        chosen.numbers(odd, rng)
    file = program_file(folder, f"odd {number}", odd.kernels)
    opened = Database(sqlite_url(database))
    with opened.writing() as connection:
        id_ = write(connection, file.program, odd.visits, odd.kernel_ns, 1_000 + number % 1_000)
    opened.close()
    if chosen.damage is not None:
        damage(database, id_, str(own), *chosen.damage)
    return id_


def damage(
    database: Path, id_: str, own_kernel: str, table: str, column: str, value: object
) -> None:
    where, key = ("text = ?", own_kernel) if table == "kernels" else (_ROWS[table], id_)
    connection = sqlite3.connect(database)
    with connection:
        if callable(value):
            [before, *_] = connection.execute(
                f"SELECT {column} FROM {table} WHERE {where}", (key,)
            ).fetchone()
            value = value(before)
        done = connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value, key))
        assert done.rowcount > 0
    connection.close()
