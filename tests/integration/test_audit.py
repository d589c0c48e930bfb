"""The audit log in the run directory: what the monitor writes of it while the machine runs, and what sisctl says of it."""

import json
import stat

import harness

SCENARIO = "apiVersion: sis/v1\nname: audited\ncontrol: {audit: true}\n"


class AuditFile(harness.MachineTest):
    def lines(self, machine):
        return [json.loads(line) for line in (machine.run_dir / "audit.jsonl").read_text().splitlines()]

    def verify(self, machine, code=0):
        done = harness.run(harness.SISCTL, "--json", "audit", "verify", machine.run_dir / "audit.jsonl")
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def wait_for_record(self, machine, op):
        harness.wait_until(lambda: f'"op":"{op}"' in (machine.run_dir / "audit.jsonl").read_text(), op)

    def test_every_record_of_two_starts_and_two_keys_is_in_the_file(self):
        machine = self.machine(SCENARIO).wait_ready()
        self.assertEqual(stat.S_IMODE((machine.run_dir / "audit.jsonl").stat().st_mode), 0o600)
        machine.ctl("call", "log")
        machine.ctl("ctlkey", "rotate")
        machine.ctl("call", "sleep", "--args", '{"ms": 1}')
        self.wait_for_record(machine, "sleep")
        machine.ctl("call", "reboot")
        harness.wait_until(lambda: sum("audit" in line for line in self.lines(machine)) == 2, "the second start")
        machine.wait_ready()
        machine.ctl("call", "log")
        machine.ctl("shutdown")
        self.assertEqual(machine.process.wait(harness.LIMIT_S), 0)

        found = self.verify(machine)
        self.assertEqual((found["starts"], found["end"]), (2, "shutdown"))
        lines = self.lines(machine)
        ends = [line for line in lines if "end" in line]
        self.assertEqual([line["end"] for line in ends], ["reboot", "shutdown"])
        done = [(line["event"], line["op"]) for line in lines if line.get("event") == "call-done"]
        self.assertEqual(done, [("call-done", op) for op in ("log", "ctlkey", "sleep", "reboot", "log", "shutdown")])
        self.assertEqual(lines[-1]["last"], lines[-2]["sequence"])

        path = machine.run_dir / "audit.jsonl"
        path.write_text(path.read_text().replace('"op":"sleep"', '"op":"slept"'))
        self.assertEqual(self.verify(machine, code=1)["error"]["kind"], "changed")
        self.assertEqual(harness.run(harness.SISCTL, "audit", "verify", machine.run_dir).returncode, 2)

    def test_panic_leaves_what_was_sent_before(self):
        machine = self.machine(SCENARIO).wait_ready()
        machine.ctl("call", "log")
        self.wait_for_record(machine, "log")
        machine.ctl("call", "panic", "--args", '{"kind": "assert"}')
        self.assertEqual(machine.process.wait(harness.LIMIT_S), 4)
        self.assertEqual(self.verify(machine)["end"], "panic")

    def test_killed_monitor_leaves_a_file_that_ends_early(self):
        machine = self.machine(SCENARIO).wait_ready()
        machine.ctl("call", "log")
        self.wait_for_record(machine, "log")
        machine.process.kill()
        machine.process.wait(harness.LIMIT_S)
        self.assertEqual(self.verify(machine, code=1)["error"]["kind"], "truncated")

    def test_saved_answer_is_verified_and_nothing_is_written_unasked(self):
        machine = self.machine().wait_ready()
        machine.ctl("call", "log")
        saved = self.folder / "saved.json"
        saved.write_text(machine.ctl("--json", "audit").stdout)
        self.assertIn("records  ", harness.run(harness.SISCTL, "audit", "verify", saved).stdout)
        self.assertFalse((machine.run_dir / "audit.jsonl").exists())
