"""Debian's arm64 Python as a layer of the nested host's initramfs, so that the integration tests run in it."""

import pathlib
import subprocess

import nested_host

PACKAGES = nested_host.ROOT / "build" / "python-arm64"
PACKAGE = "python3"
# Left out: what no test imports, and programs and data of the packages that Python depends on.
WITHOUT = ("bin", "sbin", "etc", "var", "usr/sbin", "usr/share", "usr/lib/valgrind", "usr/lib/aarch64-linux-gnu/gconv",
           *(f"usr/lib/python3*/{name}" for name in ("ensurepip", "idlelib", "lib2to3", "pydoc_data", "test")))
# Compiling what the tests import takes longer under emulation than they do: it is done once.
IMPORTS = ("argparse, hmac, json, pathlib, pty, random, re, select, shutil, socket, struct, subprocess, tempfile, "
           "termios, threading, unittest, xml.etree.ElementTree")
COMPILE = f"""
cd /
python3 -c "import {IMPORTS}" || exit
find usr/lib/python3* -path '*__pycache__*' | cpio -o -H newc >/cwd/out/compiled
"""


def archive(path):
    """Writes the packages' files as a cpio archive."""
    left_out = [entry for pattern in WITHOUT for entry in PACKAGES.glob(pattern)]
    names = []
    for entry in sorted(PACKAGES.rglob("*")):
        name = entry.relative_to(PACKAGES)
        is_other_program = name.match("usr/bin/*") and not name.match("usr/bin/python3*")
        if not is_other_program and not any(entry.is_relative_to(other) for other in left_out):
            names.append(str(name))
    with open(path, "wb") as output:
        subprocess.run(["cpio", "--null", "--quiet", "-o", "-H", "newc"], input="\0".join(names).encode() + b"\0",
                       cwd=PACKAGES, stdout=output, check=True)


def layer():
    """Path of the cpio archive with Python under /usr; made where it is missing or its packages are others."""
    unpack = nested_host.ROOT / "tools/setup/unpack_arm64"
    subprocess.run([unpack, "--with-dependencies", PACKAGES, PACKAGE], check=True)

    def make(path):
        archive(path)
        options = nested_host.Options(layers=(path,))
        with nested_host.run(["sh", "-c", COMPILE], options=options) as done:
            if done.code != 0:
                raise nested_host.HostError(f"Python does not run in the nested host: {done.stderr}{done.console}")
            compiled = (done.out / "compiled").read_bytes()
        with open(path, "ab") as output:
            output.write(compiled)

    versions = sorted(str(path) for path in (PACKAGES / "usr/share/doc").glob("*/changelog.Debian.gz"))
    return nested_host.cached("python", [pathlib.Path(__file__).read_bytes(), *(v.encode() for v in versions)], make)
