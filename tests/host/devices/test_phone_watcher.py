"""Phones in a real lab: daemon, adb server, adbd, agent, runner and database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from host.devices.transports.adb import HOME, AdbTransport
from host.doctor.checks import limited
from host.doctor.daemon import check_daemon
from host.doctor.finding import Level
from host.doctor.first_phone import Log, accept, begin
from host.doctor.phones import check_phones
from host.home import lab_process
from latlab.client.client import LatencyClient
from latlab.domain.device import DeviceStatus
from latlab.domain.errors import Unavailable
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.program import ProgramFile
from tests.device_agent.agent_process import wait_until
from tests.faults.ledger import read_ledger
from tests.faults.losses import losses
from tests.faults.phone import (
    FAULTS,
    ONE_LONG_VISIT,
    RUNNER,
    end_all_that_adbd_started,
    kill_the_agent,
    kill_the_daemon,
    measure_through,
    restart_adb,
)
from tests.host.jobs.job_ends import ends_of_jobs
from tests.virtual_phone.android import MODEL, SERIAL
from tests.virtual_phone.locked_phone import locked_phone
from tests.virtual_phone.phone import NoPhone
from tests.virtual_phone.phone_lab import DATA_BYTES, SPEC, PhoneLab, is_idle, lab_with_phone
from tests.virtual_phone.stand_in_bundle import write_stand_in
from tests.virtual_phone.vendors import without_heat


@pytest.fixture(scope="module")
def phone_lab(tmp_path_factory: pytest.TempPathFactory, runner: Path) -> Iterator[PhoneLab]:
    folder = tmp_path_factory.mktemp("phones")
    write_stand_in(folder / "bundles", runner, agent="tests.faults.recording_agent")
    with ExitStack() as stack:
        try:
            yield stack.enter_context(lab_with_phone(folder, folder / "bundles", DATA_BYTES))
        except NoPhone as reason:
            pytest.skip(str(reason))


@pytest.fixture
def client(phone_lab: PhoneLab) -> Iterator[LatencyClient]:
    lab_process.up(phone_lab.home)
    with LatencyClient.connect(phone_lab.home.root) as client:
        yield client


def test_a_phone_that_is_plugged_in_is_measured_on(
    phone_lab: PhoneLab, client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    target = phone_lab.plug_in(client)
    device = phone_lab.wait_for(client, is_idle).device
    assert device is not None
    assert (device.serial, device.model, device.soc) == (SERIAL, MODEL, "Latency Lab VSOC1")
    assert "latlab/virtual" in device.os_build
    assert all(core_class.max_clock_khz for core_class in device.core_classes)

    [measured] = client.measure(target, small_programs[:1], SPEC)
    assert isinstance(measured, MeasuredLatency)
    told = client.measurement(measured.measurement_id).visits[0].before
    assert (told.temperature_c, told.battery_level) == (36.5, 0.83)
    assert (told.governor, told.throttled) == ("schedutil", False)

    assert not measured.heat_unknown
    assert not phone_lab.wait_for(client, is_idle).heat_unknown

    phone_lab.phone.hide_sensors()
    [measured] = client.measure(target, small_programs[1:2], SPEC)
    assert isinstance(measured, MeasuredLatency)
    told = client.measurement(measured.measurement_id).visits[0].before
    assert (told.temperature_c, told.throttled) == (38.0, False)  # its thermal service's
    assert not measured.heat_unknown


def test_a_phone_without_sensors_and_thermal_service_says_that_its_heat_is_unknown(
    phone_lab: PhoneLab, client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    with without_heat(phone_lab.phone):
        target = phone_lab.plug_in(client)
        phone_lab.adb.reconnect(phone_lab.phone.serial)  # which asks it again
        status = phone_lab.wait_for(client, lambda s: is_idle(s) and s.heat_unknown)
        assert status.state.detail == "heat unknown"
        [measured] = client.measure(target, small_programs[2:3], SPEC)
    assert isinstance(measured, MeasuredLatency)
    assert measured.heat_unknown
    measurement = client.measurement(measured.measurement_id)
    assert measurement.heat_unknown
    assert not any(visit.before.heat_is_known for visit in measurement.visits)
    phone_lab.adb.reconnect(phone_lab.phone.serial)
    phone_lab.wait_for(client, lambda s: is_idle(s) and not s.heat_unknown)


def test_a_rooted_phone_has_steady_clocks_for_the_run_only(
    phone_lab: PhoneLab, client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    """Rooted: its agent may write what only root may elsewhere."""
    frequencies = phone_lab.phone.root / "sys/devices/system/cpu"
    settings = [*frequencies.glob("cpu*/cpufreq/scaling_[gm]*")]
    before = [path.read_text().strip() for path in settings]
    target = phone_lab.plug_in(client)
    try:
        for path in settings:
            path.chmod(0o666)
        with phone_lab.measuring(target, small_programs[:1], ONE_LONG_VISIT) as outcomes:
            phone_lab.wait_for_runner()
            kill_the_agent(phone_lab)
        [measured] = outcomes
        assert isinstance(measured, MeasuredLatency)
        assert {
            visit.before.governor for visit in client.measurement(measured.measurement_id).visits
        } == {"performance"}
        assert [path.read_text().strip() for path in settings] == before
    finally:
        for path in settings:
            path.chmod(0o644)


def test_the_agent_is_brought_once_and_outlives_adb(
    phone_lab: PhoneLab, client: LatencyClient
) -> None:
    def bundle_and_agent() -> str:
        return phone_lab.phone.shell(f"stat -c '%n %i %Z' {HOME}/bundle-*; cat {HOME}/state/lock")

    phone_lab.plug_in(client)
    before = bundle_and_agent()
    assert before.count("bundle-") == 1
    assert phone_lab.phone.shell(f"stat -c %a {HOME}/state {HOME}/state/token") == "700\n600\n"

    phone_lab.unplug(client)
    phone_lab.plug_in(client)
    assert bundle_and_agent() == before


def forwarded(phone_lab: PhoneLab) -> list[str]:
    """The phone's ports."""
    listed = phone_lab.adb.run("forward", "--list").splitlines()
    return [line.split()[2] for line in listed if line]


def test_one_port_is_forwarded_whatever_ended_before(
    phone_lab: PhoneLab, client: LatencyClient
) -> None:
    """Another program's forward stays."""
    target = phone_lab.plug_in(client)
    phone_lab.adb.run("-s", phone_lab.phone.serial, "forward", "tcp:0", "tcp:1")
    [before] = set(forwarded(phone_lab)) - {"tcp:1"}
    kill_the_daemon(phone_lab)
    kill_the_agent(phone_lab)
    lab_process.up(phone_lab.home)
    with LatencyClient.connect(phone_lab.home.root) as again:
        phone_lab.wait_for(again, lambda status: target in status.targets)
    [after] = set(forwarded(phone_lab)) - {"tcp:1"}
    assert after != before
    assert len(forwarded(phone_lab)) == 2


def test_a_new_bundle_takes_the_place_of_the_old_one(
    phone_lab: PhoneLab, client: LatencyClient
) -> None:
    phone_lab.plug_in(client)
    before = phone_lab.phone.shell(f"ls {HOME}")
    phone_lab.unplug(client)
    description = phone_lab.bundles / "x86_64/bundle.json"
    description.write_text(json.dumps({"sha256": "5e" * 32}))
    phone_lab.plug_in(client)
    assert phone_lab.phone.shell(f"ls {HOME}").split() == [f"bundle-{'5e' * 8}", "state"]
    assert before.split()[0] != f"bundle-{'5e' * 8}"
    assert phone_lab.phone.pids(f"bundle-{'5e' * 8}/latlab-runner")


@pytest.mark.parametrize("fault", [*FAULTS, restart_adb])
def test_a_fault_in_mid_run_costs_no_job_and_no_visit(
    phone_lab: PhoneLab, small_programs: list[ProgramFile], fault: Callable[[PhoneLab], None]
) -> None:
    lab_process.up(phone_lab.home)
    asked = len(ends_of_jobs(phone_lab.home))
    before = losses(phone_lab.home, read_ledger(phone_lab.ledger), asked)
    outcomes = measure_through(phone_lab, small_programs[0], fault)
    if fault is kill_the_daemon:
        assert outcomes == []  # who asked was told that the lab is gone
    else:
        assert [type(outcome) for outcome in outcomes] == [MeasuredLatency], outcomes
    ledger = read_ledger(phone_lab.ledger)
    assert ledger
    assert losses(phone_lab.home, ledger, asked + 1) == before


def test_an_agent_that_ended_with_adbd_is_started_again_between_visits(
    phone_lab: PhoneLab, client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    target = phone_lab.plug_in(client)
    ended_before = ends_of_jobs(phone_lab.home)
    apart = replace(SPEC, min_visits=2, max_visits=2, spacing_ns=4_000_000_000)
    with phone_lab.measuring(target, small_programs[:1], apart) as outcomes:
        phone_lab.wait_for_runner()
        wait_until(lambda: not phone_lab.phone.pids(RUNNER))
        end_all_that_adbd_started(phone_lab)
    [measured] = outcomes
    assert isinstance(measured, MeasuredLatency)
    visits = client.measurement(measured.measurement_id).visits
    assert len(visits) == len({visit.run_id for visit in visits}) == 3  # one of them traced
    assert len(ends_of_jobs(phone_lab.home)) == len(ended_before) + 1


def test_what_was_measured_while_the_phone_was_away_is_fetched(
    phone_lab: PhoneLab, client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    def results() -> list[str]:
        names = phone_lab.phone.shell(f"ls {HOME}/state/results").split()
        return [name for name in names if not name.endswith(".part")]  # being written

    target = phone_lab.plug_in(client)
    wait_until(lambda: results() == [])  # those of jobs before are acknowledged
    with phone_lab.measuring(target, small_programs[:1], ONE_LONG_VISIT) as outcomes:
        phone_lab.wait_for_runner()
        phone_lab.phone.cut_cable()
        phone_lab.adb.disconnect(phone_lab.phone.serial)
        wait_until(lambda: results() != [])
        [run_id] = results()
        phone_lab.phone.mend_cable()
        phone_lab.adb.connect(phone_lab.phone.serial)
    [measured] = outcomes
    assert isinstance(measured, MeasuredLatency)
    assert run_id in [visit.run_id for visit in client.measurement(measured.measurement_id).visits]
    wait_until(lambda: results() == [])  # acknowledged


def test_a_full_phone_says_how_much_to_free(phone_lab: PhoneLab, client: LatencyClient) -> None:
    phone_lab.plug_in(client)
    phone_lab.unplug(client)
    phone_lab.phone.reboot()
    phone_lab.phone.shell(f"rm -r {HOME}/bundle-*")
    phone_lab.phone.fill_disk()
    phone_lab.adb.connect(phone_lab.phone.serial)
    phone_lab.wait_for(client, says("storage is full: the agent needs 1 MB, and 0 MB are free"))
    phone_lab.phone.shell("rm /data/local/tmp/filling")
    phone_lab.unplug(client)
    phone_lab.plug_in(client)


def test_a_bundle_that_did_not_arrive_whole_is_not_used(
    phone_lab: PhoneLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its storage fills up while the bundle is on its way, and not every tar notices."""
    lab_process.down(phone_lab.home)
    assert set(forwarded(phone_lab)) <= {"tcp:1"}
    phone_lab.adb.connect(phone_lab.phone.serial)
    phone_lab.phone.shell(f"rm -rf {HOME}/bundle-*")
    phone_lab.phone.fill_disk()
    transport = AdbTransport(phone_lab.phone.serial, phone_lab.bundles)
    with monkeypatch.context() as patch:
        patch.setattr(AdbTransport, "_check_space", lambda *_: None)
        with pytest.raises(Unavailable):
            transport.connect()
    assert "bundle-" not in phone_lab.phone.shell(f"ls {HOME}")
    phone_lab.phone.shell("rm /data/local/tmp/filling")
    assert transport.connect().describe().serial == SERIAL


def test_a_phone_of_another_abi_says_which_would_do(
    phone_lab: PhoneLab, client: LatencyClient
) -> None:
    phone_lab.phone.set_property("ro.product.cpu.abi", "armeabi-v7a")
    phone_lab.adb.reconnect(phone_lab.phone.serial)
    phone_lab.wait_for(client, says("armeabi-v7a, which is 32-bit: the lab has agents for"))
    phone_lab.phone.set_property("ro.product.cpu.abi", "x86_64")
    phone_lab.adb.reconnect(phone_lab.phone.serial)
    phone_lab.wait_for(client, is_idle)


def test_a_missing_bundle_says_how_to_build_it(phone_lab: PhoneLab, client: LatencyClient) -> None:
    bundle = phone_lab.bundles / "x86_64"
    bundle.rename(phone_lab.bundles / "away")
    try:
        phone_lab.adb.reconnect(phone_lab.phone.serial)
        phone_lab.wait_for(client, says("make agent-bundle"))
    finally:
        (phone_lab.bundles / "away").rename(bundle)


def test_a_locked_phone_says_to_allow_debugging(phone_lab: PhoneLab, client: LatencyClient) -> None:
    with locked_phone() as serial:
        phone_lab.adb.run("connect", serial)
        try:
            phone_lab.wait_for(client, says("allow USB debugging"), serial)
        finally:
            phone_lab.adb.disconnect(serial)


def test_a_phone_is_accepted_that_does_all_that_a_phone_must(
    phone_lab: PhoneLab, client: LatencyClient, small_programs: list[ProgramFile], tmp_path: Path
) -> None:
    phone_lab.plug_in(client)
    phone_lab.unplug(client)

    def obey(line: str) -> None:
        if line.startswith("Plug"):
            phone_lab.adb.connect(phone_lab.phone.serial)
        elif "Pull the cable" in line:
            phone_lab.wait_for_runner()
            phone_lab.adb.disconnect(phone_lab.phone.serial)

    log = tmp_path / "log"
    spec = replace(ONE_LONG_VISIT, traced_visits=1)
    accept(client, small_programs[0], Log(log, obey), spec)
    told = log.read_text()
    for step in ("identified: ", "started: ", "measured: ", "traced: ", "came back", "accepted"):
        assert step in told
    assert SERIAL not in told
    assert phone_lab.phone.serial not in told


def test_the_doctor_sees_phones_and_says_their_mends(
    phone_lab: PhoneLab, client: LatencyClient, tmp_path: Path
) -> None:
    """And the log that begins with what it said of them names none."""
    phone_lab.plug_in(client)
    [finding] = [
        f for f in limited(check_phones, phone_lab.home) if phone_lab.phone.serial in f.found
    ]
    assert "MB free" in finding.found
    findings = limited(check_daemon, phone_lab.home)
    told = {each.check: each for each in findings}
    assert told["daemon"].level is Level.OK
    assert "battery 83%" in told[f"adb:{phone_lab.phone.serial}"].found
    begin(tmp_path / "log", lambda line: None, phone_lab.home, [finding, *findings])
    sent = (tmp_path / "log").read_text()
    assert "PHONE: " in sent
    assert SERIAL not in sent
    assert phone_lab.phone.serial not in sent
    with locked_phone() as serial:
        phone_lab.adb.run("connect", serial)
        [locked] = [f for f in limited(check_phones, phone_lab.home) if serial in f.found]
        phone_lab.adb.disconnect(serial)
    assert locked.level is Level.WRONG
    assert "allow USB debugging" in locked.fix


def says(words: str) -> Callable[[DeviceStatus], bool]:
    return lambda status: words in status.state.detail
