"""Device trees that are wrong: the kernel names what is missing or powers off; it never hangs and never panics.

A stub passes a tree of ours in x0, because QEMU repairs or refuses what it is given with -dtb.
"""

import pathlib
import random
import subprocess
import tempfile
import unittest

import guest_image
from guest_image import Guest

TREE_ADDRESS = 0x48000000
IMAGE_ADDRESS = 0x40600000
STUB_ADDRESS = 0x47000000


def run_tool(*command, **options):
    return subprocess.run(command, check=True, stdin=options.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, **options).stdout


def machine_source():
    """QEMU's own tree as source."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "tree.dtb"
        run_tool(guest_image.QEMU, "-M", f"virt,dumpdtb={path}", "-cpu", "cortex-a72", "-m", "512M", "-display", "none",
                 "-nic", "none")
        return run_tool("dtc", "-I", "dtb", "-O", "dts", "-q", str(path)).decode()


def compiled(source):
    with tempfile.NamedTemporaryFile(suffix=".dts") as file:
        file.write(source.encode())
        file.flush()
        return run_tool("dtc", "-I", "dts", "-O", "dtb", "-q", file.name)


def without(source, node):
    start = source.index(f"\t{node} {{")
    return source[:start] + source[source.index("\n\t};", start) + 4:]


class DeviceTree(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.source = machine_source()
        cls.tree = compiled(cls.source)

    def boot(self, tree, until_prompt=False):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "stub").write_bytes(guest_image.boot_stub(TREE_ADDRESS, IMAGE_ADDRESS))
            (folder / "tree").write_bytes(tree)
            extra = guest_image.loader((folder / "stub", STUB_ADDRESS), (guest_image.KERNEL, IMAGE_ADDRESS),
                                       (folder / "tree", TREE_ADDRESS), start=STUB_ADDRESS)
            with Guest(image=None, extra=extra) as guest:
                if until_prompt:
                    return guest.wait_for(guest_image.PROMPT)
                # A tree that is only slightly wrong may well boot: then the machine is told to stop.
                return guest.shut_down()

    def refused(self, tree, message):
        output = self.boot(tree)
        self.assertIn(f"BOOT CONFIG ERROR: {message}", output)
        self.assertEqual(guest_image.exit_record(output), ("boot-config", 5))

    def test_tree_as_it_is_boots(self):
        self.boot(self.tree, until_prompt=True)

    def test_tree_without_memory_is_refused(self):
        self.refused(compiled(without(self.source, "memory@40000000")), "machine-missing: no memory")

    def test_tree_without_interrupt_controller_is_refused(self):
        self.refused(compiled(without(self.source, "intc@8000000")), "machine-missing: no GIC")

    def test_tree_without_timer_is_refused(self):
        self.refused(compiled(without(self.source, "timer")), "machine-missing: no timer")

    def test_tree_without_psci_boots_and_still_powers_off(self):
        output = self.boot(compiled(without(self.source, "psci")))
        self.assertEqual(guest_image.exit_record(output), ("shutdown", 0))

    def test_header_that_is_no_tree_powers_off_in_silence(self):
        for offset, value in ((0, b"\0\0\0\0"), (4, b"\xff\xff\xff\xff"), (4, b"\0\0\0\x10")):
            with self.subTest(offset=offset, value=value):
                self.assertEqual(self.boot(self.tree[:offset] + value + self.tree[offset + 4:]), "")

    def test_damage_neither_panics_nor_hangs(self):
        # A fixed seed, because not all damage can be seen: with a device moved to an address where nothing is, a panic
        # is the right answer, and with the console moved there is nothing to wait for.
        generator = random.Random(3)
        for case in range(25):
            with self.subTest(case=case):
                tree = bytearray(self.tree)
                for _ in range(generator.choice((1, 2, 5))):
                    tree[generator.randrange(len(tree))] = generator.choice((0, 1, 0xFF, generator.randrange(256)))
                self.assertNotIn("PANIC", self.boot(bytes(tree)))


if __name__ == "__main__":
    unittest.main()
