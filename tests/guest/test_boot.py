"""The kernel boots to its shell on every machine that it is meant for, and boot does not grow with memory."""

import re
import tempfile
import unittest

import guest_image
from guest_image import Guest

ICOUNT = ("-icount", "shift=0,sleep=off")
BOOT_LIMIT_INSTRUCTIONS = 2_000_000


def boot_instructions(memory, **options):
    """Instructions until the shell starts, the last step of the boot; under -icount shift=0 a nanosecond is one."""
    with Guest(memory=memory, extra=ICOUNT, **options) as guest:
        output = guest.wait_for(guest_image.PROMPT)
    return int(re.search(r"^METRIC boot_to_shell_ns=(\d+)$", output, re.MULTILINE).group(1))


class Boot(unittest.TestCase):
    def check(self, **options):
        with self.subTest(**options), Guest(**options) as guest:
            output = guest.wait_for(guest_image.PROMPT)
            lines = output.splitlines()
            positions = [lines.index(marker) for marker in guest_image.MARKERS]
            self.assertEqual(positions, sorted(positions), output)
            self.assertNotIn("PANIC", output)
            self.assertNotIn("ERROR", output)
            guest.send("ping")
            guest.send("shutdown 7")
            self.assertEqual(guest_image.exit_record(guest.wait_for_exit()), ("shutdown", 7))

    def test_cpu_models_entry_levels_and_interrupt_controllers(self):
        for cpu in guest_image.CPUS:
            for gic in (2, 3):
                for el2 in ("off", "on"):
                    self.check(cpu=cpu, machine=f"gic-version={gic},virtualization={el2}")

    def test_what_is_typed_before_the_boot_reaches_the_shell(self):
        with Guest() as guest:
            guest.send("shutdown 7")
            self.assertEqual(guest_image.exit_record(guest.wait_for_exit()), ("shutdown", 7))

    def test_one_to_eight_cpus_are_present(self):
        for gic in (2, 3):
            for cpus in range(1, 9):
                self.check(cpus=cpus, machine=f"gic-version={gic}")

    def test_64_mib_to_4_gib(self):
        for memory in ("64M", "128M", "256M", "512M", "1G", "2G", "3G", "4G"):
            self.check(memory=memory)

    def test_high_memory_only_below_the_address_limit(self):
        # 40 GiB of address space: RAM ends above 4 GiB, several level 1 entries.
        self.check(memory="4G", machine="highmem=on", cpu="cortex-a53")

    def test_boot_stays_under_the_limit_and_does_not_grow_with_memory(self):
        small = boot_instructions("512M")
        large = boot_instructions("4G")
        print(f"boot: {small} instructions at 512 MiB, {large} at 4 GiB")
        self.assertLess(small, BOOT_LIMIT_INSTRUCTIONS)
        # "No more": but for a table or two; the counter ticks every 16 instructions.
        self.assertLess(large, small + small // 100)

    def test_verbosity_is_a_boot_argument(self):
        with Guest(extra=("-append", "verbosity=info")) as guest:
            self.assertIn("entered at EL1", guest.wait_for(guest_image.PROMPT))
        with Guest() as guest:
            self.assertNotIn("entered at EL1", guest.wait_for(guest_image.PROMPT))

    def test_line_of_the_boot_arguments_is_run_by_the_shell(self):
        with Guest(extra=("-append", "verbosity=info shell=echo a  'b  c'; shutdown 7; echo verbosity=debug")) as guest:
            output = guest.wait_for_exit()
        self.assertIn("\nsis> echo a  'b  c'; shutdown 7; echo verbosity=debug\na b  c\n", output)
        self.assertIn("\nverbosity=debug\n", output)
        self.assertIn("entered at EL1", output)
        self.assertEqual(guest_image.exit_record(output), ("shutdown", 7))

    def test_line_that_is_no_text_is_refused_by_name(self):
        with Guest(extra=("-append", b"shell=echo \xff")) as guest:
            output = guest.wait_for_exit()
        self.assertIn("BOOT CONFIG ERROR: bootargs-bad-value: shell=echo \\xff: not UTF-8\n", output)
        self.assertEqual(guest_image.exit_record(output), ("boot-config", 5))

    def test_reboot_starts_the_machine_again(self):
        for gic in (2, 3):
            with self.subTest(gic=gic), Guest(reboot=True, machine=f"gic-version={gic}") as guest:
                guest.wait_for(guest_image.PROMPT)
                guest.send("reboot")
                guest.wait_for("\x1eSIS-EXIT kind=reboot code=0\nSTACK OK\n")
                guest.wait_for(guest_image.PROMPT, occurrences=2)
                guest.send("shutdown 1")
                self.assertRegex(guest.wait_for_exit(), "SIS-EXIT kind=shutdown code=1\n$")

    def test_bad_boot_argument_is_refused_by_name(self):
        with Guest(extra=("-append", "console=ttyAMA0 verbosity=loud")) as guest:
            output = guest.wait_for_exit()
        self.assertIn("BOOT CONFIG ERROR: bootargs-bad-value: verbosity=loud: expected quiet, info or debug", output)
        self.assertEqual(guest_image.exit_record(output), ("boot-config", 5))


class LoadAddress(unittest.TestCase):
    """The image runs at any 2 MiB boundary. QEMU's own loader always takes the same one, so a stub plays boot loader."""

    STUB_ADDRESS = 0x5FF00000
    DTB_ADDRESS = 0x40000000  # where QEMU puts the tree when it loads no kernel

    def check(self, base, memory, machine=""):
        with tempfile.NamedTemporaryFile() as file:
            file.write(guest_image.boot_stub(self.DTB_ADDRESS, base))
            file.flush()
            loader = guest_image.loader((file.name, self.STUB_ADDRESS), (guest_image.KERNEL, base),
                                        start=self.STUB_ADDRESS)
            with self.subTest(base=hex(base), memory=memory), Guest(
                    image=None, memory=memory, machine=machine, extra=loader) as guest:
                guest.wait_for(guest_image.PROMPT)
                guest.send("shutdown")
                self.assertEqual(guest_image.exit_record(guest.wait_for_exit()), ("shutdown", 0))

    def test_low_odd_and_high_places(self):
        for base in (0x40200000, 0x40600000, 0x47E00000, 0x5FC00000, 0x80000000, 0xFFE00000, 0x100000000, 0x13FC00000):
            self.check(base, "4G")

    def test_entry_at_el2(self):
        self.check(0x5FC00000, "1G", machine="virtualization=on")


class BadInitrd(unittest.TestCase):
    def refused(self, content, name):
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            with Guest(extra=("-initrd", file.name)) as guest:
                output = guest.wait_for_exit()
        self.assertRegex(output, rf"(?m)^BOOT CONFIG ERROR: {name}: ")
        self.assertEqual(guest_image.exit_record(output), ("boot-config", 5))

    def test_initrd_that_is_no_archive_is_refused_by_name(self):
        self.refused(b"x" * 4096, "archive-bad-magic")

    def test_cut_archive_is_refused_by_name(self):
        self.refused(b"070701", "archive-truncated")

    def test_archive_without_a_scenario_is_refused_by_name(self):
        header = "070701" + "00000000" * 11 + f"{len('TRAILER!!!') + 1:08x}" + "00000000"
        archive = header.encode() + b"TRAILER!!!\0"
        self.refused(archive + b"\0" * (-len(archive) % 4), "config-missing")


if __name__ == "__main__":
    unittest.main()
