"""NETWORK on the command line: a name, a file, or a module of the user's own."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from latlab.common.files import read_regular, storing
from latlab.common.program_store import MAX_PROGRAM_BYTES
from latlab.domain.errors import InvalidRequest
from latlab.domain.program import BACKEND, Program, ProgramFile, TensorSpec
from latlab.export.user_network import UserNetwork
from search.cli.session import given_options
from search.latency.networks import Network
from search.space.architecture import Architecture
from search.space.zoo import ZOO
from search.study.architecture_file import read_architecture

KINDS = (
    "a name from `latlab zoo`, an architecture's FILE.json, FILE.pte, FILE.pt2, FILE.py:NAME or "
    "package.module:NAME"
)
NETWORK_HELP = (
    "A name from `latlab zoo`; an architecture's FILE.json, as `latlab search` writes it; FILE.pte,"
    " which is measured as it is; FILE.pt2, an exported program; or a module of yours, FILE.py:NAME"
    " or package.module:NAME, where NAME is a torch.nn.Module or a function without arguments that"
    " returns one. Your Python code and .pt2 files run on this machine with your rights."
)
MODULE_PANEL = "Your own modules"
MAX_INPUT_VALUES = 1 << 28  # a GiB in float32, as large as the largest program
_INPUT = re.compile(
    r"(?P<shape>\d{1,9}(x\d{1,9})*)?"
    r"(:(?P<dtype>\w+)(:(?P<low>-?\d{1,20})\.\.(?P<high>-?\d{1,20}))?)?",
    re.ASCII,
)

NetworksArgument = Annotated[list[str], typer.Argument(metavar="NETWORK", help=NETWORK_HELP)]
InputsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="SHAPE[:DTYPE[:LOW..HIGH]]",
        help="An input of your module, such as 1x3x224x224 or 1x128:int64:0..30521. Repeat the"
        " option for several inputs, in their order. The dtype is float32 by default, and the range"
        " is that of an integer's values. Without the option your module brings its own: a function"
        " example_inputs() beside it returns them.",
        rich_help_panel=MODULE_PANEL,
    ),
]

# The options that say how a network is made a program, by the networks that they are for.
_TAKEN_BY: Mapping[str, tuple[type, ...]] = {
    "--input": (UserNetwork, ProgramFile),
    "--precision": (Architecture, UserNetwork),
    "--resolution": (Architecture,),
    "--classes": (Architecture,),
}
_INSTEAD = {
    Architecture: "its input is an image of --resolution pixels",
    ProgramFile: "a .pte file is measured as it is",
    UserNetwork: "its own code and --input say what it is",
}


def find_networks(
    texts: Sequence[str], inputs: Sequence[str] | None, context: typer.Context
) -> list[Network]:
    """Return the networks that a command is given.

    Args:
        texts: The networks, as the user names them.
        inputs: The values of --input.
        context: The command's options. Those that say how networks are made programs must have
            an effect on one of them.

    Raises:
        InvalidRequest: There is no such network, or an option has no effect or is wrong.
        StorageError: A file cannot be read.
    """
    specs = tuple(map(parse_input, inputs or ()))
    networks = [find_network(text, specs) for text in texts]
    for option in given_options(context):
        kinds = _TAKEN_BY.get(option)
        if kinds and not any(isinstance(network, kinds) for network in networks):
            raise InvalidRequest(
                f"{option} has no effect on {texts[0]}: {_INSTEAD[type(networks[0])]}. "
                "Leave the option out"
            )
    return networks


def find_network(text: str, inputs: tuple[TensorSpec, ...] = ()) -> Network:
    """Return the network that a user names.

    Args:
        text: What the user has typed.
        inputs: The inputs of the user's own network; empty if it brings them.

    Raises:
        InvalidRequest: There is no such network, or it does not take the inputs.
        StorageError: A file cannot be read.
    """
    if text in ZOO:
        return ZOO[text]
    path, _, name = text.rpartition(":")
    if text.endswith(".json"):
        return read_architecture(Path(text))
    if text.endswith(".pte"):
        return _program_file(Path(text), inputs)
    if text.endswith(".pt2"):
        _require_file(text)
        return UserNetwork(text, inputs)
    if text.endswith(".py"):
        raise InvalidRequest(f"name a module in {text}, such as {text}:Net")
    if name.isidentifier() and path.endswith(".py"):
        _require_file(path)
        return UserNetwork(text, inputs)
    if name.isidentifier() and all(part.isidentifier() for part in path.split(".")):
        return UserNetwork(text, inputs)
    raise InvalidRequest(
        f"there is no network {text!r}: give {KINDS}. The names are {', '.join(ZOO)}"
    )


def parse_input(text: str) -> TensorSpec:
    """Return the input that a text describes as `TensorSpec.__str__` does. float32 may be left out.

    Raises:
        InvalidRequest: The text describes no input.
    """
    match = _INPUT.fullmatch(text)
    if not match or not text:
        raise InvalidRequest(
            f"--input {text!r} is no input: give a shape such as 1x3x224x224, then a dtype where "
            "it is not float32, and the range of its integers: 1x128:int64:0..30521"
        )
    shape = tuple(int(size) for size in (match["shape"] or "").split("x") if size)
    if not 0 < math.prod(shape) <= MAX_INPUT_VALUES:
        raise InvalidRequest(
            f"--input {text} has {math.prod(shape):,} values: give 1 to {MAX_INPUT_VALUES:,}"
        )
    low, high = (None if bound is None else int(bound) for bound in match.group("low", "high"))
    try:
        return TensorSpec(shape, match["dtype"] or "float32", low, high)
    except ValueError as error:
        raise InvalidRequest(f"--input {text}: {error}") from error


def _program_file(path: Path, inputs: tuple[TensorSpec, ...]) -> ProgramFile:
    # They load numpy, which no other network needs.
    from latlab.programs.reader import read_program
    from latlab.programs.tables import UnreadableProgram

    with storing(path):
        if path.stat().st_size > MAX_PROGRAM_BYTES:
            raise InvalidRequest(
                f"{path} has {path.stat().st_size:,} bytes, and a program may have "
                f"{MAX_PROGRAM_BYTES:,}: export a smaller network"
            )
        data = read_regular(path, MAX_PROGRAM_BYTES)
    try:
        listing = read_program(data)
    except UnreadableProgram as error:
        raise InvalidRequest(f"cannot use {path}: {error}. Export it again") from error
    if inputs and _kinds(inputs) != _kinds(listing.inputs):
        raise InvalidRequest(
            f"{path} takes {_words(listing.inputs)}, not {_words(inputs)}: leave out --input, or "
            "use it only to say which values integer inputs have"
        )
    program = Program(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        backend=BACKEND,
        inputs=inputs or listing.inputs,
        kernels=listing.kernels,
        undelegated=listing.undelegated,
        exporter="file",
    )
    return ProgramFile(program, path)


def _kinds(inputs: Sequence[TensorSpec]) -> list[tuple[object, str]]:
    return [(spec.shape, spec.dtype) for spec in inputs]


def _words(inputs: Sequence[TensorSpec]) -> str:
    return ", ".join(map(str, inputs)) or "no inputs"


def _require_file(name: str) -> None:
    with storing(Path(name)):
        Path(name).stat()
    if not Path(name).is_file():
        raise InvalidRequest(f"{name} is not a file")
