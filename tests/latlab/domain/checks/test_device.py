"""What a device may say of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latlab.domain.checks.device import MAX_CPUS, checked_device
from latlab.domain.device import CoreClass, Device
from latlab.domain.errors import Unavailable
from latlab.domain.target import targets_of
from tests.host.fake_lab import DEVICE
from tests.latlab.convert.strategies import devices

texts = st.text(max_size=400)
TEXTS = ("serial", "model", "soc", "os_build", "abi", "runtime_version", "runner_build")


@settings(max_examples=40)
@given(devices, st.lists(texts, min_size=len(TEXTS), max_size=len(TEXTS)))
def test_what_is_accepted_is_harmless(device: Device, hostile: list[str]) -> None:
    device = replace(device, **dict(zip(TEXTS, hostile, strict=True)))  # type: ignore[arg-type]
    try:
        checked = checked_device(device)
    except Unavailable:
        return
    shown = [getattr(checked, name) for name in TEXTS]
    shown += [core_class.name for core_class in checked.core_classes]
    shown += [*checked.backends, *checked.confinement]
    for text in shown:
        assert len(text) <= 256
        assert not set("\x00\x1b\n\r\t\x9b\u202e\u2028") & set(text)
    assert checked_device(checked) == checked


def test_an_honest_device_and_its_targets_stay_as_they_are() -> None:
    honest = replace(
        DEVICE,
        model="Google Pixel 8 Pro",
        os_build="Android google/husky/husky:14/AP2A.240805.005/12025142:user/release-keys",
    )
    assert checked_device(honest) == honest
    [target] = targets_of(checked_device(honest))
    assert target.id == "ca4c1512a054d959"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"serial": " "}, "no serial"),
        ({"backends": tuple(map(str, range(1000)))}, "1000 backends"),
        ({"core_classes": ()}, "no cores"),
        ({"core_classes": (CoreClass("all", ()),)}, "0 cores"),
        ({"core_classes": (CoreClass("all", (0,) * (MAX_CPUS + 1)),)}, "4097 cores"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(
    changes: dict[str, object], fault: str
) -> None:
    with pytest.raises(Unavailable, match=fault):
        checked_device(replace(DEVICE, **changes))  # type: ignore[arg-type]
