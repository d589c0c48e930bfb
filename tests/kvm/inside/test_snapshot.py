"""Snapshots: the saved machine and the restored ones go on from the same moment, each for itself.

Runs on the ARM64 host itself, real or nested; test_snapshots.py brings it there. Environment: as harness.py says.
"""

import hashlib
import json
import mmap
import os
import pathlib
import random
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration"))
import gguf_models  # noqa: E402
import harness  # noqa: E402

ECHO = 7
SERVICES = "apiVersion: sis/v1\nname: services\ncontrol: {test_services: true}\nmachine: {memory: 128MiB, cpus: 2}\n"


class SnapshotTest(harness.MachineTest):
    def save(self, machine, name="saved"):
        folder = self.folder / name
        done = machine.ctl("snapshot", folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return folder

    def restore(self, folder, name="restored"):
        return self.machine(name=name, restore=folder)

    def shut_down(self, machine):
        self.assertEqual(machine.ctl("shutdown").returncode, 0)
        self.assertEqual(machine.wait(), 0, machine.output())

    def uptime_s(self, machine):
        done = machine.ctl("call", "uptime", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["uptime_ns"] / 1e9

    def type(self, machine, line):
        with socket.socket(socket.AF_UNIX) as console:
            console.connect(str(machine.run_dir / "console.sock"))
            console.sendall(line.encode() + b"\n")
            harness.wait_until(lambda: line.split()[0] in machine.console(), "what was typed on the console")


class Snapshots(SnapshotTest):
    def test_both_machines_answer_and_time_goes_on_from_the_snapshot(self):
        source = self.machine(SERVICES).wait_ready()
        time.sleep(20)  # older than a new machine gets in this test
        before = self.uptime_s(source)
        folder = self.save(source)
        after = self.uptime_s(source)
        time.sleep(20)
        source_later = self.uptime_s(source)
        restored = self.restore(folder).wait_ready()
        uptime = self.uptime_s(restored)
        self.assertGreater(uptime, before)
        # Not the 20 seconds: the guest's clock stood still.
        self.assertLess(uptime - after, (source_later - after) / 2)
        self.assertEqual(json.loads(restored.ctl("info", "--json").stdout)["cpus"], 2)
        self.assert_alive(source)
        self.shut_down(source)
        self.shut_down(restored)

    def test_reboot_of_a_restored_machine_begins_with_empty_memory(self):
        # The guest's queues and heap keep what it was sent; nothing of a boot brings that back.
        mark = os.urandom(16).hex()
        source = self.machine(SERVICES).wait_ready()
        self.assertEqual(source.ctl("call", "ping", "--args", json.dumps({"payload": mark})).returncode, 0)
        folder = self.save(source)
        self.shut_down(source)
        self.assertTrue(self.holds(folder / "memory", mark))
        restored = self.restore(folder).wait_ready()
        self.assertEqual(restored.ctl("shell", "reboot").returncode, 0)
        harness.wait_until(lambda: restored.console().count("LAUNCHING SHELL") == 1, "the shell after the reboot")
        again = self.save(restored.wait_ready(), "again")
        self.assertFalse(self.holds(again / "memory", mark))
        self.shut_down(restored)

    def holds(self, path, text):
        """True if the file, most of which is holes, has these bytes."""
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
            return memory.find(text.encode()) >= 0

    def test_timer_that_ran_when_the_guest_was_saved_ends_in_both(self):
        source = self.machine(SERVICES).wait_ready()
        self.type(source, "sleep 3000; echo awa''ke")
        folder = self.save(source)
        self.assertNotIn("awake", source.console())
        restored = self.restore(folder)
        for machine in (source, restored):
            harness.wait_until(lambda m=machine: "awake" in m.console(), "the end of the guest's sleep")

    def test_snapshot_serves_several_machines_and_stays_as_it_is(self):
        source = self.machine(SERVICES).wait_ready()
        folder = self.save(source)
        self.shut_down(source)
        self.assertEqual(folder.stat().st_mode & 0o777, 0o700)
        digest = {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.iterdir()}
        for path in digest:
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)
        self.assertLess((folder / "memory").stat().st_blocks * 512, 8 << 20, "memory that the guest never touched")
        machines = [self.restore(folder, name) for name in ("one", "two")]
        for machine in machines:
            machine.wait_ready()
        # A reboot clears all memory, and boots from the snapshot's own files.
        self.assertEqual(machines[0].ctl("shell", "reboot").returncode, 0)
        harness.wait_until(lambda: "LAUNCHING SHELL" in machines[0].console(), "the shell after the reboot")
        for machine in machines:
            self.assert_alive(machine)
            self.shut_down(machine)
        for path, before in digest.items():
            self.assertEqual(hashlib.sha256(path.read_bytes()).digest(), before, path)

    def test_restored_machine_can_be_saved_again(self):
        source = self.machine(SERVICES).wait_ready()
        first = self.save(source)
        self.shut_down(source)
        restored = self.restore(first).wait_ready()
        second = self.save(restored, "second")
        self.shut_down(restored)
        third = self.restore(second, "third").wait_ready()
        self.assertEqual(third.ctl("shell", "mem").returncode, 0)
        self.shut_down(third)

    def test_connections_survive_in_the_source_and_end_in_the_restored_guest(self):
        source = self.machine(SERVICES).wait_ready()
        data = random.Random(5).randbytes(6 << 20)
        got = bytearray()
        folders = []
        with source.connect(ECHO) as connection:
            def send():
                connection.send(data)
                connection.socket.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            while part := connection.socket.recv(65536):
                got += part
                # In the midst of the traffic, with packets under way in both directions.
                if len(got) > (len(folders) + 1) * (2 << 20) and len(folders) < 2:
                    folders.append(self.save(source, f"saved{len(folders)}"))
            sender.join()
        self.assertEqual(len(folders), 2)
        self.assertTrue(bytes(got) == data, "the echo is not what was sent")
        for number, folder in enumerate(folders):
            restored = self.restore(folder, f"restored{number}").wait_ready()
            with restored.connect(ECHO) as connection:
                connection.send(b"a new connection")
                self.assertEqual(connection.receive_exactly(16), b"a new connection")
            # Of the echo that was cut off nothing is left but what was there before it began.
            counters = self.counters(restored)
            self.assertEqual((counters["vsock_transport_resets"], counters["vsock_connections"]), (1, 1))
            self.shut_down(restored)

    def counters(self, machine):
        done = machine.ctl("call", "counters", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)


class Audit(SnapshotTest):
    SCENARIO = ("apiVersion: sis/v1\nname: audited\nmachine: {memory: 128MiB}\nnpu: off\ncontrol: {audit: true}\n"
                "llm: {allow_unsigned: true, models: [{file: m.gguf}]}\n")

    def infer(self, machine, tokens):
        done = machine.ctl("llm", "infer", "m", "Once", "--max_tokens", tokens)
        self.assertEqual(done.returncode, 0, done.stderr)

    def verified(self, machine):
        """The records in a machine's file, which is whole, by their numbers."""
        file = machine.run_dir / "audit.jsonl"
        done = harness.run(harness.SISCTL, "--json", "audit", "verify", file)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout)["end"], "shutdown")
        records = [json.loads(line) for line in file.read_text().splitlines()]
        return {record["sequence"]: record for record in records if "sequence" in record}

    def said(self, records):
        """Tokens of the answers, in their order."""
        return [record["tokens"] for record in records.values() if record["event"] == "llm" and record["op"] == "end"]

    def test_the_log_goes_on_in_both_machines_as_one_chain_with_what_was_before(self):
        small = gguf_models.random_model(gguf_models.gguf.Type.F32, embedding=32, feed_forward=32, layers=1)
        small.save(self.folder / "m.gguf")
        source = self.machine(self.SCENARIO).wait_ready()
        self.infer(source, 3)
        folder = self.save(source)
        self.infer(source, 4)
        restored = self.machine(name="restored", restore=folder, arguments=("--audit",)).wait_ready()
        self.infer(restored, 5)
        silent = self.restore(folder, "silent").wait_ready()
        for machine in (source, restored, silent):
            self.shut_down(machine)
        self.assertFalse((silent.run_dir / "audit.jsonl").exists())
        first, second = self.verified(source), self.verified(restored)
        self.assertEqual((self.said(first), self.said(second)), ([3, 4], [3, 5]))
        self.assertEqual((min(first), min(second)), (1, 1))
        same = [number for number in first if number in second and first[number]["hash"] == second[number]["hash"]]
        self.assertEqual(same, list(range(1, len(same) + 1)))
        before = next(number for number, record in first.items() if record["event"] == "llm" and record["op"] == "end")
        self.assertGreaterEqual(len(same), before)
        self.assertLess(len(same), len(second))


class Refusals(SnapshotTest):
    def refused(self, folder, code, *words):
        done = harness.run(harness.SISVMM, "restore", folder, "--run-dir", self.folder / "r", "--name", "refused")
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_damaged_snapshots_are_refused_by_name(self):
        source = self.machine(SERVICES).wait_ready()
        folder = self.save(source)
        again = source.ctl("snapshot", folder)
        self.assertEqual(again.returncode, 1)
        self.assertIn("it is there already", again.stderr)
        self.assertEqual(source.ctl("snapshot", self.folder / "no" / "such").returncode, 1)
        done = harness.run(harness.SISVMM, "restore", folder, "--name", source.name)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.shut_down(source)

        self.refused(self.folder / "nothing", 2, "no snapshot in")
        machine = folder / "machine"
        whole = machine.read_bytes()
        machine.write_bytes(whole[:8] + b"\x63" + whole[9:])
        self.refused(folder, 2, "version 99", "reads version 2")
        machine.write_bytes(whole[:-1])
        self.refused(folder, 2, "is damaged", "the file ends")
        # The CPUs' registers: a value of an identification register that no host has.
        midr = whole.index((0x6030_0000_0013_c000).to_bytes(8, "little")) + 8
        machine.write_bytes(whole[:midr] + bytes(8) + whole[midr + 8:])
        self.refused(folder, 3, "this host refuses the saved register 0x603000000013c000 of CPU 0")
        machine.write_bytes(whole)
        os.truncate(folder / "memory", 4096)
        self.refused(folder, 2, "expected a file of 134217728 bytes, found 4096")
        (folder / "memory").unlink()
        self.refused(folder, 2, "No such file")
        (folder / "control.key").unlink()
        self.refused(folder, 2, "is damaged", "control.key")


if __name__ == "__main__":
    unittest.main()
