from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.domain.checks.text import cleaned
from latlab.profiling.findings.finding import Finding
from latlab.profiling.profile import Profile
from search.report.profile.page import page
from search.report.profile.words import decimals, milliseconds, sentence, short
from tests.search.report.profile.profiles import (
    FINDING,
    ORDINARY,
    findings,
    profile,
    profiles,
    row,
)

SVG = "{http://www.w3.org/2000/svg}"
NETWORK_ATTRIBUTES = {"src", "srcset", "action", "data", "poster", "background", "formaction"}


def parsed(text: str) -> ElementTree.Element:
    """Parse a page as XML, which is stricter than an HTML parser."""
    return ElementTree.fromstring(text.split("\n", 1)[1])


def table_rows(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [each for each in root.iter("tr") if each.get("id", "").startswith("kernel-")]


def text_of(element: ElementTree.Element) -> str:
    """Return what an element shows."""
    return " ".join("".join(shown(element)).split())


def shown(element: ElementTree.Element) -> Iterator[str]:
    if element.tag in ("style", "script", "head"):
        return
    yield element.text or ""
    for each in element:
        yield from shown(each)
        yield each.tail or ""


def test_it_shows_kernels_findings_footprint_rest_and_tracing() -> None:
    text = text_of(parsed(page(ORDINARY, [FINDING])))
    for part in (
        "nets/net.py:Net",
        "On board/big/1t, one run takes 5.50 ms",
        "layers.1.shift",
        "nets/net.py:12",
        "portable:aten::roll",
        "1×8×8×16 → 1×8×8×24, relu",
        "aten::roll is portable.",
        "Remedy: Use torch.cat.",
        "0.700 ms 0.665 to 0.735, 12.7% of latency",
        "13.9 MB",
        "8.00 ms",
        "61.0 MB",
        "tracing overhead",
        "what no kernel accounts for",
    ):
        assert part in text


def test_the_kernels_are_in_execution_order_and_add_up() -> None:
    root = parsed(page(ORDINARY))
    shown = table_rows(root)
    assert [float(each.attrib["data-ns"]) for each in shown] == [r.time_ns for r in ORDINARY.rows]
    assert [each.attrib["id"] for each in shown] == [f"kernel-{n + 1}" for n in range(8)]
    times = [text_of(each.findall("td")[3]) for each in shown]
    assert sum(map(float, times)) == pytest.approx(5.4)
    [foot] = root.iter("tfoot")
    totals = [[text_of(cell) for cell in line] for line in foot]
    assert [[line[3], line[5]] for line in totals] == [
        ["5.4000", "98.2%"],
        ["0.1000", "1.8%"],
        ["5.5000", "100.0%"],
        ["0.2000", "3.6%"],
    ]
    assert totals[1][1].startswith("rest")


def test_it_loads_nothing_and_runs_only_the_script_that_its_policy_names() -> None:
    text = page(ORDINARY, [FINDING])
    root = parsed(text)
    [policy] = [e.attrib["content"] for e in root.iter("meta") if "http-equiv" in e.attrib]
    [script] = [element.text or "" for element in root.iter("script")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "://" not in re.sub(r'xmlns="[^"]+"', "", text)


def test_links_lead_to_kernels() -> None:
    root = parsed(page(ORDINARY, [FINDING]))
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    links = [e.attrib["href"] for e in root.iter() if "href" in e.attrib]
    assert len(ids) == len(set(ids))
    assert {"#kernel-5", "#kernel-6"} <= set(links)
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_what_is_not_known_is_left_out() -> None:
    bare = replace(
        ORDINARY,
        rows=tuple(replace(each, source=None) for each in ORDINARY.rows),
        rest=None,
        tracing=None,
        is_predicted=True,
        footprint=replace(
            ORDINARY.footprint,
            load_ns=None,
            first_run_ns=None,
            peak_rss_bytes=None,
            planned_bytes=None,
        ),
    )
    text = text_of(parsed(page(bare)))
    assert "one run would take" in text
    assert "no module is known, so each box is a kernel" in text
    for absent in ("measured on its own", "tracing", "to load", "peak memory", "Findings", "None"):
        assert absent not in text


def test_without_kernels_it_says_why() -> None:
    bare = replace(ORDINARY, rows=(), notes=("The trace does not match the program.",))
    text = text_of(parsed(page(bare)))
    assert "There are no times of kernels." in text
    assert "The trace does not match the program." in text


def test_noise_below_zero_has_no_bar_and_is_shown() -> None:
    noisy = profile(row("add", -2e3, "a"), row("conv2d", 1e6, "b"), rest_ns=-1e4)
    root = parsed(page(noisy))
    bars = [e.find("i") for e in root.iter("div") if (e.get("class") or "").startswith("bar")]
    assert [bar.attrib["style"] for bar in bars if bar is not None] == [
        "width: 0.0%",
        "width: 95.24%",
    ]
    text = text_of(root)
    assert "-0.00200" in text
    assert "-0.01000" in text


def test_predicted_kernels_of_a_measured_network_do_not_make_its_latency_predicted() -> None:
    made = replace(ORDINARY, is_predicted=True, notes=("the kernels' times are predictions",))
    text = text_of(parsed(page(made)))
    assert "one run takes 5.50 ms" in text
    assert "The kernels' times are predictions." in text


def test_a_finding_about_rows_that_are_not_there_has_no_links_to_them() -> None:
    text = page(ORDINARY, [replace(FINDING, rows=(-1, 3, 99))])
    assert 'href="#kernel-4"' in text
    assert "#kernel-100" not in text
    assert "#kernel-0" not in text


@given(profiles, st.lists(findings, max_size=2))
def test_hostile_names_are_shown_and_have_no_effect(hostile: Profile, found: list[Finding]) -> None:
    text = page(hostile, found)
    root = parsed(text)
    assert len(list(root.iter("script"))) == 1
    for element in root.iter():
        assert element.tag.removeprefix(SVG) not in {"img", "iframe", "object", "link", "embed"}
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert name not in NETWORK_ATTRIBUTES
            assert name != "href" or value.startswith("#")
    everything = "".join(root.itertext())
    for name in (hostile.network, hostile.target, *(each.name for each in hostile.rows)):
        assert short(name) in everything
    for each in found:
        assert cleaned(sentence(each.what)) in everything
    assert not any(c in text for c in "\x00\x1b\u202e\u2067\u2028\ud800")


@given(profiles)
def test_equal_profiles_give_equal_pages(hostile: Profile) -> None:
    digits = decimals(hostile)
    text = page(hostile)
    assert text == page(replace(hostile))
    times = [text_of(each.findall("td")[3]) for each in table_rows(parsed(text))]
    assert times == [milliseconds(each.time_ns, digits) for each in hostile.rows]
