"""Check that a phone's userland can receive and run the agent, before anything is copied to it."""

from __future__ import annotations

from collections.abc import Callable

from adbutils import AdbError

# Every command of the phone's that AdbTransport sends to its shell, beside the shell's own words
# and getprop. A phone with exactly these is enough: a test takes the others away.
COMMANDS = (
    *("cat", "chmod", "df", "find", "grep", "head", "kill", "ls", "mkdir", "mv", "rm", "setsid"),
    *("sha256sum", "sleep", "sort", "sync", "tail", "tar"),
)

KILLED = (
    "the phone ended the agent right after its start, since it lets no process of adb's run in the"
    " background: turn off battery saving and, in the developer options, the restrictions of child"
    " processes, then plug it in again"
)


def check_commands(shell: Callable[[str], str]) -> None:
    """Check that the phone has all commands that the lab needs.

    Args:
        shell: Returns the output of a shell command on the phone.

    Raises:
        AdbError: The message names the commands that are missing.
    """
    listed = " ".join(COMMANDS)
    missing = shell(f"for c in {listed}; do command -v $c >/dev/null || echo $c; done").split()
    if missing:
        raise AdbError(
            f"its Android lacks {', '.join(missing)}, which the agent needs: update the phone, or"
            " use another one"
        )


def check_execution(shell: Callable[[str], str], folder: str) -> None:
    """Check that the adb shell may run a program in a folder. Raises AdbError."""
    probe = f"{folder}/probe"
    refused = shell(
        f"echo '#!/system/bin/sh' >{probe} && chmod 700 {probe} && {{ {probe} || echo refused; }};"
        f" rm -f {probe}"
    )
    if refused:
        raise AdbError(
            f"it runs no programs in {folder}, where Android lets adb's shell run them: use another"
            f" phone, or a build of Android that allows it (the phone says: {refused})"
        )
