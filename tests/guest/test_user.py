"""User tasks at EL0, one after the other, without threads (guest/arch/aarch64/tests/guest/user_test.cpp)."""

import itertools
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import guest_image
from guest_image import Guest

IMAGE = guest_image.KERNEL.with_name("user_test.Image")
PROGRAMS = guest_image.KERNEL.parent / "user"
CHECKS = 9

# What "crash KIND" is killed for: the report's first line behind the task's name, and the address with what lies there.
# Only a fault below kUserBegin, in the heap's neighbourhood or in the guard has an address that is known here.
CRASHES = {
    "null-read": (r"data abort: read at 0x0: translation fault, level \d", "0x0 is below any program, as a null pointer is"),
    "null-write": (r"data abort: write at 0x10: translation fault, level \d", "0x10 is below any program"),
    "null-call": (r"instruction abort: execution at 0x0: translation fault, level \d", "0x0 is below any program"),
    "kernel-read": (r"data abort: read at 0xffff800000000000: permission fault, level 3", "is not a user's"),
    "kernel-write": (r"data abort: write at 0xffff800000000000: permission fault, level 3", "is not a user's"),
    "kernel-call": (r"instruction abort: execution at 0xffff800000000000: permission fault, level 3", "is not a user's"),
    "code-write": (r"data abort: write at 0x4\w+: permission fault, level 3", "is its code"),
    "data-call": (r"instruction abort: execution at 0x4\w+: permission fault, level 3", "is its data"),
    "odd-call": (r"PC alignment fault", "is its code"),
    "guard": (r"data abort: write at 0x7ffffffcfff8: translation fault, level 3", "is the guard below its stack"),
    "undefined": (r"undefined instruction or unknown reason", None),
    "breakpoint": (r"BRK instruction", None),
    "privileged": (r"undefined instruction or unknown reason|trapped MSR, MRS or system instruction", None),
    "timer": (r"undefined instruction or unknown reason|trapped MSR, MRS or system instruction", None),
    "stack-overflow": (r"data abort: write at 0x7ffffffc\w{4}: translation fault, level 3", "is the guard below its stack"),
    "memory": (r"data abort: write at 0x\w+: translation fault, level 3", "is no memory of its"),
}


def archive(folder, lines, extra=None):
    """A boot archive with every program and the command lines; `extra`: more files, name -> bytes."""
    folder = pathlib.Path(folder)
    for path in PROGRAMS.glob("*.elf"):
        shutil.copy(path, folder / path.stem)
    for name, data in (extra or {}).items():
        (folder / name).write_bytes(data)
    (folder / "run").write_text("\n".join(lines) + "\n")
    names = "\n".join(sorted(path.name for path in folder.iterdir()))
    packed = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=folder, input=names.encode(), check=True,
                            stdout=subprocess.PIPE).stdout
    path = folder / "archive"
    path.write_bytes(packed)
    return path


def run(lines, extra_files=None, extra=(), **options):
    """Boots, runs the lines and returns the whole output."""
    with tempfile.TemporaryDirectory() as folder:
        initrd = archive(folder, lines, extra_files)
        with Guest(image=IMAGE, extra=("-initrd", str(initrd), *extra), **options) as guest:
            return guest.wait_for_exit()


def sections(output):
    """What each command line printed: [(line, text)]."""
    parts = re.split(r"(?m)^RUN (.*)\n", output)
    return list(zip(parts[1::2], parts[2::2]))


class EveryMachine(unittest.TestCase):
    def test_every_check_passes_and_every_program_ends_as_it_should(self):
        lines = ["hello one two", "selftest argument", *(f"crash {kind}" for kind in CRASHES), "crash loop", "registers 7",
                 "primes", "hello again"]
        for cpu, gic, el2 in itertools.product(guest_image.CPUS, (2, 3), ("off", "on")):
            with self.subTest(cpu=cpu, gic=gic, virtualization=el2):
                output = run(lines, cpu=cpu, machine=f"gic-version={gic},virtualization={el2}")
                self.assertEqual(guest_image.exit_record(output), ("shutdown", 0), output)
                self.assertNotIn("FAILED", output)
                self.assertEqual(len(re.findall(r"(?m)^TEST \w+ ok$", output)), CHECKS, output)
                ran = sections(output)
                self.assertEqual([line for line, _ in ran], lines)
                for line, text in ran:
                    self.check(line, text)

    def check(self, line, text):
        name, _, argument = line.partition(" ")
        if name == "crash":
            self.check_crash(argument, text)
            return
        self.assertIn("\nEXIT 0\nFP-TRAPS 1\n", "\n" + text, line)
        if name == "hello":
            for number, word in enumerate(line.split()):
                self.assertIn(f"hello: argument {number}: {word}\n", text)
        elif name == "selftest":
            # The self-tests that earlier kernels had at boot, as a program's.
            for test in ("write", "getpid", "fork"):
                self.assertIn(f"selftest: TEST {test} ok\n", text)
            self.assertIn("selftest: 0 failures\n", text)
        elif name == "registers":
            self.assertIn("registers: TEST registers_7 ok\n", text)
        elif name == "primes":
            self.assertIn("primes: 9592 primes below 100000, 10.4% more than n / ln n\n", text)

    def check_crash(self, kind, text):
        self.assertIn("KILLED", text, kind)
        self.assertNotIn("EXIT", text, kind)
        self.assertNotIn("survived", text, kind)
        if kind == "loop":
            self.assertRegex(text, r"(?m)^KILLED: it looped, \d{3,} interrupts$")
            return
        cause, place = CRASHES[kind]
        self.assertRegex(text, rf"(?m)^task \d+ \(crash\) killed: (?:{cause})$", kind)
        if place is not None:
            self.assertRegex(text, rf"(?m)^0x\w+ {re.escape(place)}|^{re.escape(place)}", kind)
        if kind == "memory":
            pages = int(re.search(r"crash: (\d+) pages, then ENOMEM\n", text).group(1))
            self.assertTrue(200 < pages < 300, text)


class Programs(unittest.TestCase):
    def test_a_file_that_is_no_program_is_refused_with_the_reason(self):
        hello = (PROGRAMS / "hello.elf").read_bytes()
        files = {"text": b"#!/bin/sh\n", "short": hello[:5000], "wrong": hello[:18] + b"\x3e\x00" + hello[20:]}
        output = run(["text", "short", "wrong", "hello"], extra_files=files)
        ran = dict(sections(output))
        self.assertTrue(ran["text"].startswith("REFUSED elf-bad-magic: 10 bytes"), output)
        self.assertTrue(ran["short"].startswith("REFUSED elf-truncated: "), output)
        self.assertTrue(ran["wrong"].startswith("REFUSED elf-bad-machine: class 2, byte order 1, machine 62;"), output)
        self.assertIn("EXIT 0\n", ran["hello"])
        self.assertEqual(guest_image.exit_record(output), ("shutdown", 0), output)

    def test_a_null_syscall_costs_at_most_250_instructions(self):
        output = run(["syscall_cost"], extra=("-icount", "shift=0,sleep=off"))
        figure = int(re.search(r"(?m)^syscall_cost: null_syscall_ns=(\d+)$", output).group(1))
        print(f"getpid: {figure} instructions from svc to svc")
        self.assertLessEqual(figure, 250)

    def test_copies_go_by_words(self):
        for cpu in ("cortex-a72", "max"):
            output = run(["hello"], cpu=cpu, extra=("-icount", "shift=0,sleep=off"))
            for name in ("copy_from_user_4k_ns", "copy_to_user_4k_ns"):
                figure = int(re.search(rf"(?m)^METRIC {name}=(\d+)$", output).group(1))
                print(f"{name} on {cpu}: {figure} instructions")
                # 32 bytes at a time in 11 instructions are some 1400; byte by byte it would be ten times as much.
                self.assertLessEqual(figure, 1600)


class Pan(unittest.TestCase):
    """Kernel code that follows a task's pointer is stopped by PAN, on CPUs that have it."""

    def boot(self, cpu):
        return run(["hello"], cpu=cpu, extra=("-append", "pan"))

    def test_the_kernel_cannot_read_a_tasks_memory_by_accident(self):
        for cpu in ("cortex-a76", "max"):
            with self.subTest(cpu=cpu):
                output = self.boot(cpu)
                self.assertRegex(output, r"(?m)^reason: data abort: read at 0x7ffffffd0000: permission fault, level 3$")
                self.assertEqual(guest_image.exit_record(output), ("panic", 4))

    def test_without_pan_the_same_read_succeeds(self):
        # That is what makes the test above one of PAN.
        self.assertIn("READ 0\n", self.boot("cortex-a72"))


if __name__ == "__main__":
    unittest.main()
