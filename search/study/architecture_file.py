"""Reading an architecture from a file that anyone may have written."""

from __future__ import annotations

import json
from pathlib import Path

from latlab.common.files import read_regular
from search.space.architecture import Architecture, ArchitectureError
from search.space.counts import counts

MAX_BYTES = 1 << 20
MAX_PARAMETERS = 250_000_000  # a GiB in float32, which is what a device takes


def read_architecture(path: Path) -> Architecture:
    """Return the network that a file holds, as `latlab search` writes it into a study's `front`.

    Raises:
        ArchitectureError: The file cannot be read, or does not describe a network that can be
            built; the message names the file, and the field where one is wrong.
    """
    try:
        text = read_regular(path, MAX_BYTES).decode()
        architecture = Architecture.from_dict(json.loads(text))
        parameters = counts(architecture).parameters
        if parameters > MAX_PARAMETERS:
            raise ArchitectureError(
                f"the network has {parameters / 1e6:,.0f} million parameters, more than the "
                f"{MAX_PARAMETERS / 1e6:g} million that a device takes"
            )
    except OSError as error:
        raise ArchitectureError(f"cannot read {path}: {error.strerror}") from error
    except ArchitectureError as error:
        raise ArchitectureError(f"cannot use the network in {path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ArchitectureError(f"{path} does not hold an architecture: {error}") from error
    return architecture
