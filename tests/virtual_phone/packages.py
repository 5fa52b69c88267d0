"""The Debian packages that the virtual phone is made of.

python -m tests.virtual_phone.packages     pins what the mirror has now
"""

from __future__ import annotations

from pathlib import Path

from tests.debian_packages import PackageSet

PACKAGES = PackageSet(
    "virtual-phone",
    Path(__file__).with_name("packages.txt"),
    (
        "adbd",
        "android-libbase",
        "android-libboringssl",
        "android-libcutils",
        "android-liblog",
        "libbrotli1",
        "libc6",
        "libcap2",
        "libgcc-s1",
        "libgcrypt20",
        "libgpg-error0",
        "liblz4-1",
        "liblzma5",
        "libpcre2-8-0",
        "libprotobuf32t64",
        "libselinux1",
        "libstdc++6",
        "libsystemd0",
        "libzstd1",
        "mksh",
        "toybox",
        "zlib1g",
    ),
)

if __name__ == "__main__":
    PACKAGES.pin()
