"""The agent as one directory that runs where nothing is installed: `python -m
device_agent.bundle aarch64`.

It brings a Python, the agent with what it imports, the runner, and the C library and its
loader (ld.so) for all of them, so that any kernel and POSIX shell will do: Android's from
/data/local/tmp, a musl system's, a bare chroot's.

latlab-agent    starts the agent, with the agent's own arguments
latlab-runner   what its `--runner` names
bundle.json     {"machine": …, "sha256": …}, the hash of all other files
bin/, lib/      Python, the runner, and their libraries
site/           the agent and what it imports
"""

from latlab.domain.errors import LabError


class BundleError(LabError):
    """A bundle cannot be built; the message says what to do."""
