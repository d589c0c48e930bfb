#!/usr/bin/env python3
"""Writes vmm/machine/kvm/program/startup.ld: what sisvmm-kvm executes from its exec to its end, for the linker to put in
one place.

The kernel maps a program's pages as they are touched, sixteen at a time, which takes some 10,000 instructions each. What a
start executes is a quarter of the text, spread over all of it.

usage: startup_order.py         builds nothing: run `./sis build arm64` before, and after

Lists the input sections of the functions that QEMU saw executed when the nested host ran a guest that powers off at once.
A name that another compiler does not make is ignored by the linker: the list may be out of date, but it cannot be wrong.
"""

import bisect
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/kvm"))
import measure  # noqa: E402
import nested_host  # noqa: E402

PROGRAM = measure.BUILD / "vmm/cli/sisvmm-kvm"
OUTPUT = ROOT / "vmm/machine/kvm/program/startup.ld"
# Without randomised addresses a static PIE lies below the stack.
ADDRESSES = "0xfffe00000000+0x1ffffffff"
HEAD = """/* Made by tests/performance/startup_order.py, which says why. */
SECTIONS {
  .text.start : {
"""
# Constants next to it, but for large tables and texts that are rarely looked at.
COLD = ("*libc.a:C-*.o", "*libc.a:dl-close.o", "*libc.a:dl-open.o", "*libc.a:dl-version.o",
        "*libc.a:err*.o", "*libc.a:fpioconst.o", "*libc.a:gconv*.o", "*libc.a:*locale*.o", "*libc.a:malloc.o",
        "*libc.a:plural.o", "*libc.a:res_*.o", "*libc.a:resolv_conf.o", "*libfdt.a:fdt_strerror.o",
        "*libstdc++.a:cp-demangle.o", "*libstdc++.a:floating_from_chars.o")
# What a restore executes besides, whole files.
RESTORE = ("*libvmm_snapshot.a:*", "*libvmm_machine_kvm.a:hardware_state.cpp.o", "*libvmm_kvm.a:gic_state.cpp.o")
TAIL = f"""  }}
  .rodata.start : {{
    EXCLUDE_FILE({" ".join(COLD)}) *(.rodata .rodata.*)
  }}
  .text.restore : {{
{"".join(f"    {file}(.text .text._Z*)" + chr(10) for file in RESTORE)}  }}
}} INSERT BEFORE .text;
"""


def sections(folder):
    """Of the program's text: (address, size, archive, member, section), by address."""
    link = subprocess.run(["ninja", "-t", "commands", "sisvmm-kvm"], cwd=measure.BUILD, check=True, capture_output=True,
                          text=True).stdout.splitlines()[-1]
    words = shlex.split(link.removeprefix(": && ").removesuffix(" && :"))
    words[words.index("-o") + 1] = str(folder / "program")
    subprocess.run([*words, f"-Wl,-Map={folder / 'map'}"], cwd=measure.BUILD, check=True)
    text = (folder / "map").read_text().partition("Linker script and memory map")[2]
    found = []
    for name, address, size, file in re.findall(r"^ (\.text\S*)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S.*)$", text, re.M):
        member = re.fullmatch(r".*/(\w[^/]*\.a)\(([^)]*)\)", file) or re.fullmatch(r".*?()([^/]*\.o)", file)
        if int(size, 16) and member:
            found.append((int(address, 16), int(size, 16), member[1], member[2], name))
    return sorted(found)


def executed(folder):
    """Program counters, as often and in the order that a block of code began there, of all programs at once."""
    log = folder / "exec"
    command = nested_host.qemu_command

    def traced(options, run, kernel):
        arguments = command(options, run, kernel)
        arguments[arguments.index("-append") + 1] += " norandmaps"
        return [*arguments, "-d", "exec,nochain", "-D", str(log), "-dfilter", ADDRESSES]
    nested_host.qemu_command = traced
    files = {"sisvmm-kvm": nested_host.stripped(folder / "program"), "guest_0.Image": measure.FLOOR / "guest_0.Image"}
    # With names as long as most are: short ones need no memory.
    script = "./sisvmm-kvm guest_0.Image --memory 256MiB --vsock /tmp/a_socket_with_a_name.sock"
    with nested_host.run(["sh", "-c", script], files, nested_host.Options(cpus=1, icount=True)) as done:
        if done.code != 0:
            raise RuntimeError(done.stderr)
    return [int(pc, 16) for pc in re.findall(r"/([0-9a-f]{16})/", log.read_text())]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        text = sections(folder)
        counters = executed(folder)
    # The program begins at a multiple of 64 KiB: other programs have no code in the 2 MiB before the last one's.
    base = min(pc for pc in counters if pc > max(counters) - (2 << 20)) & ~0xffff
    starts = [section[0] for section in text]
    wanted = {}
    for counter in counters:
        index = bisect.bisect(starts, counter - base) - 1
        if index >= 0 and counter - base < starts[index] + text[index][1]:
            wanted[text[index][2:]] = text[index][1]
    lines = sorted(f"    *{archive}{':' if archive else ''}{member}({section})\n" for archive, member, section in wanted)
    OUTPUT.write_text(HEAD + "".join(lines) + TAIL)
    print(f"{OUTPUT.relative_to(ROOT)}: {len(lines)} of {len(text)} sections, {sum(wanted.values()) >> 10} of "
          f"{sum(section[1] for section in text) >> 10} KiB of text")


if __name__ == "__main__":
    main()
