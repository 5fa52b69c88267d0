"""A machine with nothing on it: a kernel, a shell, and one folder that can be written to."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

TIMEOUT_S = 30

# Its root is a file system of its own, read-only but for the folder, which has one name on
# both sides. Namespaces hold it, so it is gone when the last process in them is.
_ENTER = """
set -e
machine=$1 folder=$2 root=$2/root
shift 2
if [ "$machine" != "$(uname -m)" ] && [ ! -e /proc/sys/fs/binfmt_misc/qemu-$machine ]; then
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    grep ^: /usr/lib/binfmt.d/qemu-$machine.conf >/proc/sys/fs/binfmt_misc/register
fi
mkdir -p "$root"
mount -t tmpfs root "$root"
cd "$root"
mkdir -p bin dev proc sys ".$folder"
cp "$(command -v busybox)" bin/busybox
for applet in sh dirname true; do ln -s busybox bin/$applet; done
for node in null urandom; do touch dev/$node && mount --bind /dev/$node dev/$node; done
mount --rbind /proc proc
mount --rbind /sys sys
mount --bind "$folder" ".$folder"
mount -o remount,ro "$root"
exec env -i PATH=/bin "$(command -v chroot)" "$root" "$@"
"""


class NoBareMachine(Exception):
    """This one cannot have one; says why."""


def within(machine: str, folder: Path) -> list[str | Path]:
    """What starts a command on a bare `machine`, as the process that is started itself. What
    is not of this machine's own kind runs under qemu. Raises NoBareMachine."""
    enter: list[str | Path] = ["unshare", "--user", "--map-root-user", "--mount"]
    enter += ["sh", "-c", _ENTER, "enter", machine, folder]
    try:
        subprocess.run(
            [*enter, "true"], check=True, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.CalledProcessError as error:
        needed = (
            "busybox-static"
            if machine == platform.machine()
            else "busybox-static, qemu-user-static"
        )
        raise NoBareMachine(f"no bare {machine} ({needed}): {error.stderr.strip()}") from error
    return enter
