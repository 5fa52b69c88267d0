from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from latlab.domain.errors import InvalidRequest, StorageError
from search.report.profile.files import check_outputs, graph_path, write_outputs
from search.report.profile.page import page
from search.report.profile.perfetto import trace
from tests.search.report.profile.profiles import FINDING, ORDINARY


def test_only_the_files_that_were_asked_for_are_written(tmp_path: Path) -> None:
    assert write_outputs(ORDINARY) == []
    html = tmp_path / "net.html"
    assert write_outputs(ORDINARY, [FINDING], html=html) == [html]
    assert html.read_text(encoding="utf-8") == page(ORDINARY, [FINDING])
    assert list(tmp_path.iterdir()) == [html]


def test_a_graph_is_written_beside_node_data(tmp_path: Path) -> None:
    data, perfetto = tmp_path / "net.json", tmp_path / "net.trace"
    written = write_outputs(ORDINARY, perfetto=perfetto, model_explorer=data)
    assert written == [perfetto, data, tmp_path / "net.graph.json"]
    assert perfetto.read_text(encoding="utf-8") == trace(ORDINARY)
    assert "kernels" in json.loads(data.read_text(encoding="utf-8"))
    assert graph_path(tmp_path / "data") == tmp_path / "data.graph.json"


def test_files_are_replaced_and_have_an_ordinary_mode(tmp_path: Path) -> None:
    html = tmp_path / "net.html"
    html.write_text("old")
    write_outputs(ORDINARY, html=html)
    assert html.read_text(encoding="utf-8") != "old"
    other = tmp_path / "other"
    other.touch()
    assert stat.S_IMODE(html.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_paths_that_cannot_be_written_are_refused_before_anything_is(tmp_path: Path) -> None:
    good = tmp_path / "net.html"
    for bad, message in (
        (tmp_path, "is not a file"),
        (Path("/dev/null"), "is not a file"),
        (tmp_path / "none" / "net.json", "there is no folder"),
        (good, "two files would be written"),
        (tmp_path / "." / "net.html", "two files would be written"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            check_outputs(good, bad)
        with pytest.raises(InvalidRequest, match=message):
            write_outputs(ORDINARY, html=good, perfetto=bad)
    with pytest.raises(InvalidRequest, match="two files"):
        check_outputs(perfetto=tmp_path / "net.graph.json", model_explorer=tmp_path / "net.json")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_explained(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="shorter name"):
        write_outputs(ORDINARY, html=tmp_path / ("a" * 300))


def test_a_file_stays_whole_where_a_profile_cannot_be_shown(tmp_path: Path) -> None:
    html = tmp_path / "net.html"
    html.write_text("old")
    broken = replace(ORDINARY, footprint=None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        write_outputs(broken, html=html)
    assert html.read_text() == "old"
    assert list(tmp_path.iterdir()) == [html]
