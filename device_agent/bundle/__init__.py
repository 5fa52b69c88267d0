"""Bundle the agent into one directory that runs on systems where nothing is installed.

`python -m device_agent.bundle aarch64` builds a bundle. It brings Python, the agent with
everything that it imports, the runner, and the C library and its loader (ld.so) for all of them.
Any kernel and POSIX shell will do: Android's from /data/local/tmp, a musl system's, a bare
chroot's.

latlab-agent    starts the agent, with the agent's own arguments
latlab-runner   the value of the agent's `--runner`
bundle.json     {"machine": …, "sha256": …}, the hash of all other files
bin/, lib/      Python, the runner, and their libraries
site/           the agent and what it imports
licenses/       those of the Debian packages that its Python and libraries come from
"""

from latlab.domain.errors import LabError


class BundleError(LabError):
    """A bundle cannot be built; the message says what to do."""
