"""Write the files of a profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from latlab.common.files import replacing, storing
from latlab.domain.errors import InvalidRequest
from latlab.profiling.findings.finding import Finding
from latlab.profiling.profile import Profile
from search.report.profile import model_explorer
from search.report.profile.page import page
from search.report.profile.perfetto import trace

GRAPH_SUFFIX = ".graph.json"


def graph_path(node_data: Path) -> Path:
    """Return where the graph of kernels is written, given where the node data are."""
    return node_data.with_name(node_data.name.removesuffix(".json") + GRAPH_SUFFIX)


def check_outputs(
    html: Path | None = None, perfetto: Path | None = None, model_explorer: Path | None = None
) -> None:
    """Check that the files of a profile can be written, before minutes of measuring.

    Raises:
        InvalidRequest: Two files would have the same path, a folder is missing, or something else
            than a file is there.
    """
    paths = [path for path in (html, perfetto, model_explorer) if path is not None]
    if model_explorer is not None and model_explorer.name:  # a folder such as "." has none
        paths.append(graph_path(model_explorer))
    resolved: list[Path] = []
    for path in paths:
        with storing(path):
            if path.exists() and not path.is_file():
                raise InvalidRequest(f"{path} is not a file: name another one")
            if not path.parent.is_dir():
                raise InvalidRequest(
                    f"there is no folder {path.parent} for {path.name}: make it, or name another"
                    " place"
                )
            if path.resolve() in resolved:
                raise InvalidRequest(f"two files would be written to {path}: name another one")
            resolved.append(path.resolve())


def write_outputs(
    profile: Profile,
    findings: Sequence[Finding] = (),
    html: Path | None = None,
    perfetto: Path | None = None,
    model_explorer: Path | None = None,
) -> list[Path]:
    """Write a profile to the files that were asked for.

    Each file is replaced as a whole, or stays as it was.

    Args:
        profile: The profile.
        findings: What makes the network slow, worst first, for the page.
        html: Where to write the page.
        perfetto: Where to write the trace for Perfetto.
        model_explorer: Where to write the node data for Model Explorer. A graph of the kernels,
            which they fit, is written beside them; see `graph_path`.

    Returns:
        The files that were written.

    Raises:
        InvalidRequest: See `check_outputs`.
        StorageError: A file cannot be written.
    """
    check_outputs(html, perfetto, model_explorer)
    texts = dict(_texts(profile, findings, html, perfetto, model_explorer))
    _write(texts)
    return list(texts)


def _texts(
    profile: Profile,
    findings: Sequence[Finding],
    html: Path | None,
    perfetto: Path | None,
    node_data: Path | None,
) -> Iterator[tuple[Path, str]]:
    if html is not None:
        yield html, page(profile, findings)
    if perfetto is not None:
        yield perfetto, trace(profile)
    if node_data is not None:
        yield node_data, model_explorer.node_data(profile)
        yield graph_path(node_data), model_explorer.graph(profile)


def _write(texts: Mapping[Path, str]) -> None:
    for path, text in texts.items():
        with replacing(path) as draft:
            draft.write_text(text, encoding="utf-8")
