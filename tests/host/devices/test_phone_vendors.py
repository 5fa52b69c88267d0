"""Phones that their vendors have made unable to hold an agent, and what the lab says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from host.devices.transports.adb import AdbTransport
from host.devices.transports.phone_userland import COMMANDS
from latlab.domain.errors import Unavailable
from tests.device_agent.agent_process import wait_until
from tests.virtual_phone.android import SERIAL
from tests.virtual_phone.phone import NoPhone, VirtualPhone
from tests.virtual_phone.phone_lab import DATA_BYTES, PhoneLab, lab_with_phone
from tests.virtual_phone.stand_in_bundle import write_stand_in
from tests.virtual_phone.vendors import (
    killing_in_the_background,
    without_commands,
    without_execution,
)

# What Android has beside toybox, and what the virtual phone's getprop needs.
OTHERS = {"dumpsys", "getprop", "sed", "sh"}
ATTEMPTS = 3


@pytest.fixture(scope="module")
def phone_lab(tmp_path_factory: pytest.TempPathFactory, runner: Path) -> Iterator[PhoneLab]:
    """Only its phone is used, without a lab."""
    folder = tmp_path_factory.mktemp("vendors")
    write_stand_in(folder / "bundles", runner)
    with ExitStack() as stack:
        try:
            yield stack.enter_context(lab_with_phone(folder, folder / "bundles", DATA_BYTES))
        except NoPhone as reason:
            pytest.skip(str(reason))


def first_contact(phone_lab: PhoneLab) -> AdbTransport:
    """With a phone that has never seen a lab."""
    transport = AdbTransport(phone_lab.phone.serial, phone_lab.bundles)
    phone_lab.adb.reconnect(phone_lab.phone.serial)
    phone_lab.adb.wait_for(phone_lab.phone.serial)
    transport.stop()
    phone_lab.phone.shell("rm -rf /data/local/tmp/*")
    return transport


def refusal(transport: AdbTransport) -> str:
    """What it says of the phone. After a reboot adb's server also reconnects by itself, which may
    break a connection off: then it is asked again."""
    for _ in range(ATTEMPTS):
        with pytest.raises(Unavailable) as refused:
            transport.connect()
        if "broke off" not in str(refused.value):
            break
    return str(refused.value)


def without_setsid(phone: VirtualPhone) -> AbstractContextManager[None]:
    return without_commands(phone, "setsid")


@pytest.mark.parametrize(
    ("vendor", "words"),
    [
        (without_setsid, ["its Android lacks setsid", "update the phone"]),
        (without_execution, ["runs no programs in /data/local/tmp", "another phone"]),
        (
            killing_in_the_background,
            ["no process of adb's run", "battery saving"],
        ),
    ],
)
def test_a_phone_says_what_it_lacks(
    phone_lab: PhoneLab,
    vendor: Callable[[VirtualPhone], AbstractContextManager[None]],
    words: list[str],
) -> None:
    with vendor(phone_lab.phone):
        said = refusal(first_contact(phone_lab))
    assert [word for word in (phone_lab.phone.serial, *words) if word not in said] == [], said


def test_a_phone_with_the_listed_commands_alone_is_enough(phone_lab: PhoneLab) -> None:
    """So nothing else is sent to a phone; each of these is in toybox and mksh."""
    present = {path.name for path in (phone_lab.phone.root / "system/bin").iterdir()}
    transport = first_contact(phone_lab)
    with without_commands(phone_lab.phone, *(present - OTHERS - set(COMMANDS))):
        assert transport.connect().describe().serial == SERIAL
        transport.stop()
        wait_until(lambda: not phone_lab.phone.pids("-m device_agent"))
        transport.connect()
        assert transport.free_bytes() > 0
    transport.stop()
