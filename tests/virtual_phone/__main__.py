"""make virtual-phone: a phone on this machine's adb server, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import sys

from tests.virtual_phone.adb_server import Adb
from tests.virtual_phone.phone import NoPhone, virtual_phone


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with virtual_phone() as phone:
            adb = Adb()
            adb.connect(phone.serial)
            print(f"A virtual phone is plugged in: adb -s {phone.serial} shell. Ctrl-C ends it.")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
            adb.disconnect(phone.serial)
    except NoPhone as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
