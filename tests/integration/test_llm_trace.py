"""What the trace tells of the LLM service, beside its counts and the audit log: each end of each request, missed deadlines
one by one, and the NPU's job of each step."""

import collections
import json
import random
import unittest

import gguf_models
import harness
import llm_trace
import protocol

SCENARIO = """apiVersion: sis/v1
machine: {memory: 256MiB}
control: {audit: true}
llm: {allow_unsigned: true, in_flight: 2, requests_per_owner: 48, models: [{file: m.gguf}]}
"""
LONG_MS = 600_000


class Trace(harness.MachineTest):
    def setUp(self):
        super().setUp()
        gguf_models.put(self.folder / "m.gguf", False)
        self.running = self.machine(SCENARIO).wait_ready()
        self.connection = self.running.session()
        self.addCleanup(self.connection.close)

    def ask(self, op, connection=None, **arguments):
        command, _, body = (connection or self.connection).call(2, op, arguments)
        self.assertEqual(command, protocol.REPLY, body)
        return body["result"]

    def submit(self, deadline_ms, max_tokens, connection=None):
        return self.ask("llminfer", connection, model="m", prompt="tell", max_tokens=max_tokens, deadline_ms=deadline_ms,
                        wait=False)["id"]

    def wait_for_all(self):
        def is_quiet():
            status = self.ask("llmctl status")
            return status["running"] + status["queued"] == 0
        harness.wait_until(is_quiet, "the end of all requests")

    def audited_ends(self):
        """(code, status bits, tokens, time of its submission, of its end) of each request, when the machine has ended."""
        lines = (self.running.run_dir / "audit.jsonl").read_text().splitlines()
        ends = [record for record in map(json.loads, lines) if record.get("op") == "end" and record["event"] == "llm"]
        by_request = {record["request"]: (record["code"], record["status"], record["tokens"], record["submitted_ns"], record["ended_ns"])
                      for record in ends}
        self.assertEqual(len(by_request), len(ends), "a request has ended twice")
        return by_request

    def run_requests(self):
        """Some of each kind. Returns the deadlines in ms by request."""
        deadlines = {}
        numbers = random.Random(3)
        for _ in range(12):  # they run, or wait for others, when it comes
            deadline_ms = numbers.randint(1, 40)
            deadlines[self.submit(deadline_ms, 100)] = deadline_ms
        self.wait_for_all()
        for _ in range(6):
            deadlines[self.submit(LONG_MS, 4)] = LONG_MS
        self.wait_for_all()
        cancelled = self.submit(LONG_MS, 100)
        deadlines[cancelled] = LONG_MS
        self.ask("llmcancel", id=cancelled)
        with self.running.session() as gone:
            deadlines[self.submit(LONG_MS, 100, gone)] = LONG_MS
            deadlines[self.submit(1, 100, gone)] = 1
        self.wait_for_all()
        return deadlines

    def test_missed_deadlines_agree_with_counts_and_audit(self):
        follower = llm_trace.Follower(self.running)
        deadlines = self.run_requests()
        events, lost = follower.stop()
        self.assertEqual(lost, 0)
        traced = llm_trace.requests_of(events)
        stats, metrics = self.ask("llmstats"), self.ask("metrics", prefix="llm_")["metrics"]
        self.ask("shutdown")
        self.assertEqual(self.running.wait(), 0)

        self.assertEqual(set(traced), set(deadlines))
        missed = {number for number, request in traced.items() if request.stop == "deadline"}
        self.assertEqual((stats["deadline_misses"], metrics["llm_deadline_miss_count"]), (len(missed), len(missed)))
        audited = self.audited_ends()
        self.assertEqual({number: code for number, (code, *_) in audited.items()},
                         {number: request.stop for number, request in traced.items()})
        self.assertEqual({number for number, (_, status, *_) in audited.items() if status & 4}, missed)
        self.assertEqual({status for number, (_, status, *_) in audited.items() if number not in missed}, {1})
        self.assertEqual({number: tokens for number, (_, _, tokens, *_) in audited.items()},
                         {number: len(request.tokens) for number, request in traced.items()})
        self.check_times(traced, deadlines, audited)
        ends = collections.Counter(request.stop for request in traced.values())
        self.assertGreaterEqual(ends["deadline"], 2, ends)
        self.assertEqual(ends["length"], 6, ends)
        self.assertGreaterEqual(ends["cancelled"], 1, ends)
        self.assertEqual(stats["cancelled"], ends["cancelled"])

    def check_times(self, traced, deadlines, audited):
        for number, request in traced.items():
            submitted_ns, ended_ns = audited[number][3:]
            self.assertEqual(request.due_ns, submitted_ns + deadlines[number] * 1_000_000, number)
            # Events are recorded some instructions after the times that they tell of.
            self.assertLessEqual(submitted_ns, request.submitted["time_ns"], number)
            self.assertLessEqual(ended_ns, request.end["time_ns"], number)
            if request.stop == "deadline":
                self.assertGreaterEqual(ended_ns, request.due_ns, number)
            self.assertTrue(all(at_ns < request.due_ns for at_ns in request.tokens), number)

    def test_each_step_names_its_job_of_the_npu(self):
        follower = llm_trace.Follower(self.running)
        for _ in range(3):
            self.submit(LONG_MS, 8)
        self.wait_for_all()
        events, lost = follower.stop()
        self.assertEqual(lost, 0)
        traced = llm_trace.requests_of(events)
        self.assertEqual([len(request.jobs) for request in traced.values()], [8, 8, 8])
        named = [job for request in traced.values() for job in request.jobs]
        for kind in ("npu-submit", "npu-end"):
            self.assertEqual(sorted(event["job"] for event in events if event["event"] == kind), sorted(named))


if __name__ == "__main__":
    unittest.main()
