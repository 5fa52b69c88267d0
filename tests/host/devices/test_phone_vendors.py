"""Phones that their vendors have made unable to hold an agent, and what the lab says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from host.agent.client import AgentClient
from host.devices.transports.adb import HOME, AdbTransport
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


def connected(transport: AdbTransport) -> AgentClient:
    """As the lab connects, which tries again: on a busy machine adb now and then loses the end of
    what a command prints."""
    for _ in range(ATTEMPTS - 1):
        try:
            return transport.connect()
        except Unavailable as error:
            if "broke off" not in str(error):
                raise
    return transport.connect()


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
        transport = first_contact(phone_lab)
        with pytest.raises(Unavailable) as refusal:
            connected(transport)
    said = str(refusal.value)
    assert [word for word in (phone_lab.phone.serial, *words) if word not in said] == [], said


def test_a_command_that_fails_on_the_phone_is_told_with_its_words(phone_lab: PhoneLab) -> None:
    transport = first_contact(phone_lab)
    phone_lab.phone.shell(f"touch {HOME}")
    try:
        with pytest.raises(Unavailable, match="exists"):
            connected(transport)
    finally:
        phone_lab.phone.shell(f"rm -f {HOME}")


def test_a_phone_with_the_listed_commands_alone_is_enough(phone_lab: PhoneLab) -> None:
    """So nothing else is sent to a phone; each of these is in toybox and mksh."""
    present = {path.name for path in (phone_lab.phone.root / "system/bin").iterdir()}
    transport = first_contact(phone_lab)
    with without_commands(phone_lab.phone, *(present - OTHERS - set(COMMANDS))):
        assert connected(transport).describe().serial == SERIAL
        transport.stop()
        wait_until(lambda: not phone_lab.phone.pids("-m device_agent"))
        connected(transport)
        assert transport.free_bytes() > 0
    transport.stop()
