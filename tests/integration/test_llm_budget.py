"""Budgets of the LLM service over many periods, by the trace and the audit log: never more tokens in a period than there
may be, whatever a greedy task asks for; who was refused is taken when it was told so; a client with tokens of its own is
delayed no more than its neighbour's places in flight allow.

Guest time counts instructions, so it passes no faster on a slow host. SIS_LLM_SECONDS is how much of it (default 1;
`./sis soak llm` takes more).
"""

import collections
import json
import os
import pathlib
import re
import unittest

import gguf_models
import harness
import llm_trace
import protocol

SECONDS = int(os.environ.get("SIS_LLM_SECONDS", 1))
PROGRAMS = pathlib.Path(os.environ.get("SIS_PROGRAMS", harness.ROOT / "build/guest/user"))
PERIOD_NS = 20_000_000
LIMIT, GREEDY, PROMISED = 16, 12, 4
IN_FLIGHT = 2  # of the greedy one
SCENARIO = f"""apiVersion: sis/v1
machine: {{memory: 256MiB, accel: tcg, icount_shift: 1}}
npu: off
control: {{audit: true}}
scheduler: {{start: manual}}
llm:
  allow_unsigned: true
  models: [{{file: m.gguf}}]
  period: 20ms
  hold_periods: 4
  tokens_per_period: {LIMIT}
  classes:
    - {{name: greedy, tokens_per_period: {GREEDY}, in_flight: {IN_FLIGHT}, members: [tasks]}}
    - {{name: promised, tokens_per_period: {PROMISED}, members: [control]}}
tasks:
  - name: greedy
    program: {{file: {PROGRAMS / "greedy.elf"}, arguments: ["{SECONDS}"], llm: {{model: m, max_tokens: 8}}}}
"""


@harness.about_qemu
class Budget(harness.MachineTest):
    def ask(self, op, **arguments):
        command, _, body = self.connection.call(2, op, arguments)
        self.assertEqual(command, protocol.REPLY, body)
        return body["result"]

    def infer(self, priority):
        """What an answer of all tokens that it may have in a period took. Where it is refused, it is taken when it was told so."""
        arguments = {"model": "m", "prompt": "tell", "max_tokens": PROMISED, "priority": priority}
        command, _, body = self.connection.call(2, "llminfer", arguments)
        if command == protocol.ERROR:
            self.assertEqual(body["code"], "llm-over-budget", body)
            self.refusals += 1
            while (now := self.ask("ping")["time_ns"]) < body["fits_at_ns"]:
                self.ask("sleep", ms=(body["fits_at_ns"] - now) // 1_000_000 + 1)
            command, _, body = self.connection.call(2, "llminfer", arguments)
        self.assertEqual(command, protocol.REPLY, body)
        self.assertEqual((body["result"]["stop"], body["result"]["tokens"]), ("length", PROMISED))
        return body["result"]["took_ns"]

    def greedy_task(self):
        return self.ask("sched")["tasks"][0]

    def test_holds_in_every_period_beside_a_greedy_task(self):
        gguf_models.random_model(gguf_models.gguf.Type.Q8_0, embedding=32, feed_forward=32, layers=1).save(self.folder / "m.gguf")
        machine = self.machine(SCENARIO).wait_ready()
        self.refusals = 0
        follower = llm_trace.Follower(machine)
        with machine.session() as self.connection:
            alone = [self.infer(3) for _ in range(6)]
            self.ask("det", action="on")
            beside, urgent = [], []
            while self.greedy_task().get("exit_status") is None:
                beside.append(self.infer(3))
                urgent.append(self.infer(7))
            self.assertEqual(self.greedy_task()["exit_status"], 0, machine.console()[-2000:])
            events, lost = follower.stop()
            stats = self.ask("llmstats")
        machine.ctl("shutdown")
        self.assertEqual(machine.wait(), 0)
        self.assertEqual(lost, 0)
        callers = self.check_against_the_audit_log(machine, events, stats)
        full = self.check_periods(events, callers)
        self.check_greedy(machine.console(), events, callers)
        self.assertGreater(self.refusals, 0)
        self.check_delays(alone, beside, urgent)
        print(f"llm budget: {SECONDS} s, {stats['tokens_out']} tokens, {full} periods more than half full of the greedy one, {stats['rejects']} refusals", flush=True)

    def check_against_the_audit_log(self, machine, events, stats):
        """The same requests, ends and tokens in the trace, the audit log and the counts. Returns who asked for what."""
        verified = harness.run(harness.SISCTL, "audit", "verify", machine.run_dir / "audit.jsonl")
        self.assertEqual(verified.returncode, 0, verified.stderr)
        records = [json.loads(line) for line in (machine.run_dir / "audit.jsonl").read_text().splitlines()]
        records = [record for record in records if record.get("event") == "llm"]
        ends = {record["request"]: (record["code"], record["tokens"]) for record in records if record["op"] == "end"}
        traced = llm_trace.requests_of(events)
        self.assertEqual({number: (request.stop, len(request.tokens)) for number, request in traced.items()}, ends)
        self.assertEqual(sum(tokens for _, tokens in ends.values()), stats["tokens_out"])
        self.assertEqual(sum(record["op"] == "refuse" for record in records), stats["rejects"])
        return {record["request"]: record["caller"] for record in records if record["op"] == "submit"}

    def check_periods(self, events, callers):
        """Returns in how many periods the greedy one had more than half of what it may have."""
        periods = {caller: collections.Counter() for caller in ("task", "connection")}
        for event in events:
            if event["event"] == "llm-token":
                periods[callers[event["request"]]][event["at_ns"] // PERIOD_NS] += 1
        self.assertLessEqual(max(periods["task"].values()), GREEDY)
        self.assertLessEqual(max(periods["connection"].values()), PROMISED)
        self.assertLessEqual(max((periods["task"] + periods["connection"]).values()), LIMIT)
        full = sum(count > GREEDY // 2 for count in periods["task"].values())
        # Else it would not be greedy. What a request has reserved until it ends keeps others waiting, so not all are full.
        self.assertGreater(full, SECONDS * 1_000_000_000 // PERIOD_NS // 10)
        return full

    def check_greedy(self, console, events, callers):
        self.assertIn("TEST llm_greedy ok", console)
        told = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", re.search(r"greedy: (taken=.*)", console)[1])}
        own = [request for number, request in llm_trace.requests_of(events).items() if callers[number] == "task"]
        self.assertEqual((told["taken"], told["ended"]), (len(own), len(own)))
        self.assertEqual(told["tokens"], sum(len(request.tokens) for request in own))
        self.assertEqual(told["cut"], sum(request.stop == "budget" for request in own))
        self.assertGreater(told["refused"], 0)

    def check_delays(self, alone, beside, urgent):
        most = max(alone)
        print(f"llm budget: us, alone {most // 1000}, beside a greedy one {max(beside) // 1000}, with a higher priority "
              f"{max(urgent) // 1000}", flush=True)
        # Steps of those in flight are between its own: one of each, and when it is the more urgent one, the first that runs.
        self.assertLessEqual(max(beside), most * (IN_FLIGHT + 2))
        self.assertLessEqual(max(urgent), most * 2)


if __name__ == "__main__":
    unittest.main()
