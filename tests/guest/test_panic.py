"""Every kind of panic explains itself and powers the machine off."""

import re
import unittest

import guest_image
from guest_image import Guest

# kind: (pattern of the reason line, pattern of the syndrome or None where no exception was taken)
SAME_EL = "EC 0x25 data abort, same EL"
KINDS = {
    "assert": (r"provoked assertion", None),
    "null": (r"data abort: read at 0x0: translation fault, level 0", SAME_EL),
    "zeropage": (r"data abort: write at 0x10: translation fault, level 0", SAME_EL),
    "write-code": (r"data abort: write at 0xffff800000000000: permission fault, level \d", SAME_EL),
    "write-rodata": (r"data abort: write at 0xffff8000[0-9a-f]{8}: permission fault, level \d", SAME_EL),
    "write-alias": (r"data abort: write at 0xffff0000[0-9a-f]{8}: permission fault, level \d", SAME_EL),
    "exec-data": (r"instruction abort: execution at 0xffff8000[0-9a-f]{8}: permission fault, level \d",
                  "EC 0x21 instruction abort, same EL"),
    "exec-direct": (r"instruction abort: execution at 0xffff0000[0-9a-f]{8}: permission fault, level \d",
                    "EC 0x21 instruction abort, same EL"),
    "stack-overflow": (r"kernel stack overflow \(sp 0x[0-9a-f]+, stack 0x[0-9a-f]+ to 0x[0-9a-f]+\)", SAME_EL),
    "undefined": (r"undefined instruction or unknown reason", "EC 0x00 undefined instruction"),
    "brk": (r"BRK instruction", "EC 0x3c BRK instruction; 32-bit instruction; ISS 0x515: comment 0x515"),
    "interrupt": (r"data abort: read at 0x0: translation fault, level 0", SAME_EL),
    "stack-smash": (r"stack protector: a buffer on the stack was overrun", None),
}


def panic_report(kind, **options):
    with Guest(**options) as guest:
        guest.wait_for(guest_image.PROMPT)
        guest.send(f"panic {kind}")
        return guest.wait_for_exit()


class Panic(unittest.TestCase):
    def test_every_kind_prints_a_decoded_report_and_powers_off(self):
        for kind, (reason, syndrome) in KINDS.items():
            with self.subTest(kind=kind):
                output = panic_report(kind)
                self.assertEqual(output.count("==== KERNEL PANIC ===="), 1, output)
                self.assertRegex(output, rf"(?m)^reason: {reason}$")
                self.assertRegex(output, r"(?m)^core: 0  EL: 1  time: \d+ ns  version: \S+  build: [0-9a-f]{40}$")
                self.assertRegex(output, r"(?m)^thread: 1 \(work\)" + (", in an interrupt$" if kind == "interrupt" else "$"))
                self.assertEqual(len(re.findall(r"\bx\d+ +[0-9a-f]{16}\b", output)), 31, output)
                # The overrun of stack-smash destroys the record that leads further.
                outermost = "guest::arch::provoke" if kind == "stack-smash" else "guest::threads::Dispatcher::thread_entry"
                self.assertRegex(output, rf"(?m)^  #\d+ +0x[0-9a-f]{{16}} {outermost}\+0x")
                if syndrome is None:
                    self.assertRegex(output, r"(?m)^at: guest/\S+\.[ch]pp:\d+ \(")
                else:
                    self.assertIn(syndrome, output)
                    self.assertRegex(output, r"(?m)^ELR: 0x[0-9a-f]{16}$")
                    self.assertRegex(output, r"(?m)^SPSR: 0x[0-9a-f]{8}  EL1h, masked: ")
                self.assertEqual(guest_image.exit_record(output), ("panic", 4))

    def test_backtrace_of_a_fault_names_the_faulting_function(self):
        self.assertRegex(panic_report("null"), r"(?m)^  #0 +0x[0-9a-f]{16} guest::arch::provoke\S*\+0x")

    def test_backtrace_of_a_fault_in_a_handler_reaches_the_interrupted_function(self):
        for gic in (2, 3):
            with self.subTest(gic=gic):
                report = panic_report("interrupt", machine=f"gic-version={gic}")
                names = re.findall(r"(?m)^  #\d+ +0x[0-9a-f]{16} (.*)\+0x", report)
                order = [names.index(name) for name in ("interrupt", "guest::(anonymous)::ProvokedFaults::provoke",
                                                        "guest::threads::Dispatcher::thread_entry")]
                self.assertEqual(order, sorted(order), report)
                # Who called the handler, and who called that.
                self.assertRegex(report, r"(?m)^lr: 0x[0-9a-f]{16} guest::kernel::Interrupts::dispatch\+0x")
                self.assertEqual(names[1], f"guest::arch::(anonymous)::GicV{gic}::service", report)

    def test_fault_inside_the_report_stops_at_once(self):
        output = panic_report("nested")
        self.assertRegex(output, r"(?m)^PANIC inside the panic report: ESR 0x96000004 ELR 0x[0-9a-f]+ FAR 0x18")
        self.assertEqual(guest_image.exit_record(output), ("panic", 4))


if __name__ == "__main__":
    unittest.main()
