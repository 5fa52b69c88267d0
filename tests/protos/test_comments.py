"""Every message, field, enum, value and method of the API is explained in its .proto file."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from tests.structure import REPOSITORY

PROTOS = REPOSITORY / "protos"


def compiled(folder: Path, *files: Path) -> FileDescriptorSet:
    """The descriptors of .proto files, with their comments."""
    found, buf = folder / "protos.binpb", Path(sysconfig.get_path("scripts")) / "buf"
    build = [buf, "build", files[0].parents[2], "--as-file-descriptor-set"]
    subprocess.run([*map(str, build), "-o", str(found)], check=True, timeout=60)
    return FileDescriptorSet.FromString(found.read_bytes())


def unexplained(file: FileDescriptorProto) -> list[str]:
    """The names of what has no comment. The zero value of an enum, as which nothing is sent, and a
    message without fields need none."""
    explained = {
        tuple(location.path)
        for location in file.source_code_info.location
        if location.leading_comments.strip()
    }
    return [name for path, name in _elements(file) if path not in explained]


def _elements(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    for place, service in enumerate(file.service):
        yield (6, place), service.name
        for number, method in enumerate(service.method):
            yield (6, place, 2, number), f"{service.name}.{method.name}"
    yield from _enums((5,), "", file.enum_type)
    for place, message in enumerate(file.message_type):
        yield from _message((4, place), "", message)


def _message(
    path: tuple[int, ...],
    prefix: str,
    message: Any,  # noqa: ANN401
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{prefix}{message.name}"
    is_map_entry = message.options.map_entry
    if is_map_entry or not (message.field or message.nested_type):
        return
    yield path, name
    for number, field in enumerate(message.field):
        yield (*path, 2, number), f"{name}.{field.name}"
    for number, nested in enumerate(message.nested_type):
        yield from _message((*path, 3, number), f"{name}.", nested)
    yield from _enums((*path, 4), f"{name}.", message.enum_type)


def _enums(
    path: tuple[int, ...], prefix: str, enums: Sequence[Any]
) -> Iterator[tuple[tuple[int, ...], str]]:
    for place, enum in enumerate(enums):
        yield (*path, place), f"{prefix}{enum.name}"
        for number, value in enumerate(enum.value):
            if value.number:
                yield (*path, place, 2, number), f"{prefix}{enum.name}.{value.name}"


def test_every_element_has_a_comment(tmp_path: Path) -> None:
    files = sorted(PROTOS.rglob("*.proto"))
    assert files
    found = {file.name: unexplained(file) for file in compiled(tmp_path, *files).file}
    assert {name: missing for name, missing in found.items() if missing} == {}


def test_what_has_no_comment_would_be_found(tmp_path: Path) -> None:
    folder = tmp_path / "latlab" / "v1"
    folder.mkdir(parents=True)
    (folder / "a.proto").write_text(
        """syntax = "proto3";
        package latlab.v1;
        // It is explained.
        message A {
          // It is explained.
          string b = 1;
          string c = 2;
          message Empty {}
          // It is explained.
          map<string, string> d = 3;
        }
        enum E { E_UNSPECIFIED = 0; E_ONE = 1; }
        service S { rpc M(A) returns (A); }
        """
    )
    [file] = compiled(tmp_path, folder / "a.proto").file
    assert unexplained(file) == ["S", "S.M", "E", "E.E_ONE", "A.c"]
