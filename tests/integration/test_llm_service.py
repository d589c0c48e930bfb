"""The kernel's LLM service over the control protocol: models loaded and refused, answers, eight at a time, streams, polls,
cancellation, clients that go away, budgets, deadlines; on the device and on the CPU.

Stories need the models of ../shared/models beside the repository, where that is there, or of SIS_SHARED_MODELS. Else a
model of random numbers speaks, of which it is only known that it says the same each time.
"""

import json
import re
import threading
import time
import unittest

import gguf_models
import harness
import protocol
from test_llm import ENDS, STORY

PROMPT = "Once upon a time"
STORY_TOKENS = 124  # of the whole story, behind the prompt


def whole_story(kind):
    """What the model of ../shared/models says to the prompt, by the README there."""
    return (STORY + ENDS[kind]).replace("\\n", "\n").removeprefix(PROMPT)


class Service(harness.MachineTest):
    def service(self, npu="on", limits=None, stories=True, kind="q8_0"):
        """A machine with a model "m" that is loaded; with limits."""
        is_story = gguf_models.put(self.folder / "m.gguf", stories, kind)
        self.story = whole_story(kind) if is_story else None
        self.story_tokens = STORY_TOKENS if is_story else 24  # before the model of random numbers comes to an end
        llm = {"allow_unsigned": True, "models": [{"file": "m.gguf"}], **(limits or {})}
        machine = self.machine("apiVersion: sis/v1\nmachine: {memory: 256MiB}\nnpu: %s\nllm: %s\n"
                               % (npu, json.dumps(llm))).wait_ready()
        return machine

    def ask(self, connection, op, **arguments):
        """The result of a call that must succeed."""
        command, _, body = connection.call(2, op, arguments)
        self.assertEqual(command, protocol.REPLY, body)
        return body["result"]

    def refusal(self, connection, op, **arguments):
        command, _, body = connection.call(2, op, arguments)
        self.assertEqual(command, protocol.ERROR, body)
        return body

    def infer(self, connection, **arguments):
        return self.ask(connection, "llminfer", **{"model": "m", "prompt": PROMPT, "max_tokens": 24, **arguments})

    def check_story(self, answer):
        self.assertEqual((answer["stop"], answer["tokens"]), ("length", answer["max_tokens"]))
        if self.story is not None:
            self.assertEqual(answer["text"], self.story[:len(answer["text"])])
            self.assertEqual(len(answer["text"]) == len(self.story), answer["tokens"] == self.story_tokens)


class Answers(Service):
    def test_from_the_device(self):
        machine = self.service(limits={"in_flight": 8})
        with machine.session() as connection:
            self.check_story(self.infer(connection, max_tokens=self.story_tokens))
            alone = self.infer(connection, max_tokens=48)
            self.check_story(alone)
            self.stream_says(connection, alone["text"])
            self.poll_says(connection, alone["text"])
            self.eight_at_a_time(machine, alone)
            stats = self.ask(connection, "llmstats")
            self.assertEqual(stats["tokens_out"], 48 * 11 + self.story_tokens)
            self.assertEqual(stats["infer"]["count"], 12)
            metrics = self.ask(connection, "metrics", prefix="llm_")["metrics"]
            self.assertEqual(metrics["llm_tokens_out"], stats["tokens_out"])
            self.assertGreater(metrics["llm_first_token_max_ns"], 0)
            self.assertGreater(metrics["llm_queue_depth_max"], 0)
        line = machine.ctl("shell", f"llminfer m '{PROMPT}' --max_tokens 48").stdout
        self.assertIn(re.split(r"[\x00-\x1f\x7f-\x9f\\]", alone["text"])[0][:40], line)  # others the shell shows as \xHH
        self.assertIn("stop=length", line)

    def test_of_f32_from_the_device(self):
        self.alone_and_eight_at_a_time(npu="on", kind="f32")

    def test_from_the_cpu(self):
        self.alone_and_eight_at_a_time(npu="off", kind="q8_0")

    def test_of_f32_from_the_cpu(self):
        self.alone_and_eight_at_a_time(npu="off", kind="f32")

    def alone_and_eight_at_a_time(self, npu, kind):
        machine = self.service(npu=npu, kind=kind, limits={"in_flight": 8})
        with machine.session() as connection:
            self.check_story(self.infer(connection, max_tokens=self.story_tokens))
            alone = self.infer(connection)
            self.check_story(alone)
        self.eight_at_a_time(machine, alone)

    def stream_says(self, connection, text):
        connection.send(protocol.request(protocol.CALL, 9, {"op": "llmstream", "args": {
            "model": "m", "prompt": PROMPT, "max_tokens": 48}}))
        told, tokens, command = "", 0, protocol.EVENT
        while command == protocol.EVENT:
            command, _, body = connection.receive_frame()
            event = body if command == protocol.EVENT else body["result"]
            told += event.get("text", "")
            tokens += len(event["tokens"]) if command == protocol.EVENT else 0
        self.assertEqual((told, tokens), (text, 48))

    def poll_says(self, connection, text):
        self.infer(connection, max_tokens=48, wait=False)
        told, state = "", {"finished": False, "drained": False}
        while not (state["finished"] and state["drained"]):
            state = self.ask(connection, "llmpoll")
            told += state["text"]
        self.assertEqual(told, text)

    def eight_at_a_time(self, machine, alone):
        told = {}

        def ask(number):
            with machine.session() as connection:
                told[number] = self.infer(connection, max_tokens=alone["tokens"])["text"]
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(told, {number: alone["text"] for number in range(8)})


class Limits(Service):
    def test_requests_end_and_leave_their_places(self):
        machine = self.service(limits={"in_flight": 1}, stories=False)
        with machine.session() as connection:
            running = self.infer(connection, max_tokens=100, wait=False)["id"]
            queued = self.infer(connection, max_tokens=100, wait=False)["id"]
            self.ask(connection, "llmcancel", id=queued)
            self.assertEqual(self.ask(connection, "llmpoll", id=queued)["stop"], "cancelled")
            self.ask(connection, "llmcancel", id=running)
            self.wait_for_end(connection, running, "cancelled")
            late = self.infer(connection, max_tokens=100, deadline_ms=1)
            self.assertEqual(late["stop"], "deadline")
            self.assertEqual(self.ask(connection, "llmstats")["deadline_misses"], 1)
            self.assertEqual(self.infer(connection, max_cycles=1)["stop"], "budget")
            with machine.session() as other:
                self.assertEqual(self.refusal(other, "llmpoll", id=running)["code"], "llm-no-request")
                self.infer(other, max_tokens=100, wait=False)
            # It goes away with its connection.
            harness.wait_until(lambda: self.ask(connection, "llmctl status")["running"] == 0, "the place of who is gone")
            self.infer(connection, max_tokens=2)
            done = [record["op"] for record in self.ask(connection, "audit")["records"] if record["event"] == "call-done"]
            self.assertIn("llmcancel", done)
            self.assertNotIn("llmpoll", done)

    def wait_for_end(self, connection, request, stop):
        harness.wait_until(lambda: self.ask(connection, "llmpoll", id=request)["finished"], "the end of a request")
        self.assertEqual(self.ask(connection, "llmpoll", id=request)["stop"], stop)

    def test_refusal_says_when_it_fits_and_then_it_does(self):
        machine = self.service(limits={"tokens_per_period": 20, "period": "2s"}, stories=False)
        with machine.session() as connection:
            # Two of one period; on a slow machine another one may have begun.
            refused = None
            for _ in range(20):
                command, _, body = connection.call(2, "llminfer", {"model": "m", "prompt": "x", "max_tokens": 15})
                if command == protocol.ERROR:
                    refused = body
                    break
            self.assertEqual(refused["code"], "llm-over-budget")
            self.assertEqual(refused["fits_at_ns"] % 2_000_000_000, 0)
            time.sleep(refused["fits_in_ns"] / 1e9)
            harness.wait_until(lambda: self.ask(connection, "ping")["time_ns"] >= refused["fits_at_ns"], "the next period")
            self.infer(connection, max_tokens=15)
            self.assertEqual(self.refusal(connection, "llminfer", model="m", prompt="x", max_tokens=21)["code"],
                             "llm-never-fits")

    def test_rights(self):
        machine = self.service(stories=False)
        with machine.session(protocol.OBSERVE) as connection:
            self.assertEqual(self.ask(connection, "llmctl list")["models"][0]["state"], "loaded")
            self.assertEqual(self.refusal(connection, "llminfer", model="m", prompt="x")["code"], "forbidden")
        with machine.session(protocol.OBSERVE | protocol.SUBMIT) as connection:
            self.infer(connection, max_tokens=1)
            for op, arguments in (("llmctl unload", {"model": "m"}), ("llmctl budget", {"tokens_per_period": 1})):
                self.assertEqual(self.refusal(connection, op, **arguments)["code"], "forbidden")
        with machine.session() as connection:
            self.assertEqual(self.ask(connection, "llmctl unload", model="m")["state"], "unloaded")
            self.assertEqual(self.ask(connection, "llmctl list")["models"][0]["state"], "available")
            self.assertEqual(self.refusal(connection, "llminfer", model="m", prompt="x")["code"], "llm-no-model")
            self.assertEqual(self.ask(connection, "llmctl load", model="m")["state"], "loaded")


class Boot(Service):
    def test_refused_model_is_told_and_the_machine_runs(self):
        (self.folder / "bad.gguf").write_bytes(b"GGUF no model")
        machine = self.machine("apiVersion: sis/v1\nllm: {allow_unsigned: true, models: [{file: bad.gguf}]}\n").wait_ready()
        with machine.session() as connection:
            model = self.ask(connection, "llmctl list")["models"][0]
            self.assertEqual(model["state"], "refused")
            self.assertTrue(model["error"].startswith("gguf-"), model)
            loads = [record for record in self.ask(connection, "audit")["records"] if record["event"] == "llm"]
            self.assertEqual([(record["op"], record["caller"], record["code"]) for record in loads], [("load", "kernel", model["error"])])
        self.assertIn("llm: model 'bad' is refused: gguf-", machine.console())

    def test_machine_without_models_says_so(self):
        with self.machine().wait_ready().session() as connection:
            self.assertEqual(self.refusal(connection, "llmctl status")["code"], "unavailable")

    def test_model_runs_on_the_server_that_the_scenario_names(self):
        gguf_models.put(self.folder / "m.gguf", False)
        machine = self.machine(
            "apiVersion: sis/v1\nnpu: off\nscheduler: {start: manual, servers: [{name: model, budget: 5ms, period: 10ms}]}\n"
            "llm: {allow_unsigned: true, server: model, models: [{file: m.gguf}]}\n").wait_ready()
        with machine.session() as connection:
            self.infer(connection, max_tokens=4)
            server = self.ask(connection, "sched")["servers"][0]
            self.assertEqual(server["name"], "model")
            self.assertGreater(server["ran_ns"], 0)


if __name__ == "__main__":
    unittest.main()
