"""16 clients of the kernel's LLM service that do whatever they like over the control protocol: submit, read, poll, cancel,
release, go away. Every answer is what it is alone, piece by piece, and afterwards the guest's heap is as before.

SIS_LLM_OPERATIONS is how many things they do together (default 480; `./sis soak llm` does more).
"""

import json
import os
import random
import threading
import time
import unittest

import gguf_models
import harness
import protocol

CLIENTS = 16
OPERATIONS = int(os.environ.get("SIS_LLM_OPERATIONS", 480))
MAX_TOKENS = 12
PROMPTS = ("one", "two", "three", "four")
LIMITS = {"requests": 48, "requests_per_owner": 4, "queue": 24, "in_flight": 6, "sessions": 4}
#: What a client may be told when it asks for too much.
TOO_MUCH = ("llm-too-many-requests", "llm-queue-full", "llm-too-many-sessions")


class Open:
    """A request as its client knows it."""

    def __init__(self, prompt, max_tokens):
        self.prompt, self.max_tokens = prompt, max_tokens
        self.next, self.tokens = 0, []
        self.cancelled = self.complete = False


class Client:
    def __init__(self, machine, number, answers):
        self.machine, self.answers = machine, answers
        self.random = random.Random(number)
        self.open, self.whole = {}, 0
        self.connection = machine.session()

    def call(self, op, **arguments):
        """The result, or the error's body."""
        command, _, body = self.connection.call(self.random.randrange(1, 1 << 30), op, arguments)
        return body["result"] if command == protocol.REPLY else body

    def act(self):
        what = self.random.randrange(100)
        if what < 30 or not self.open:
            self.submit()
        elif what < 80:
            self.poll(self.random.choice(list(self.open)))
        elif what < 90:
            self.end("llmcancel", self.random.choice(list(self.open)))
        elif what < 98:
            request = self.random.choice(list(self.open))
            self.end("llmrelease", request)
            del self.open[request]
        else:
            self.connection.close()
            self.open.clear()
            self.connection = self.machine.session()

    def submit(self):
        prompt, tokens = self.random.choice(PROMPTS), self.random.randint(1, MAX_TOKENS)
        session = {"session": "new"} if self.random.randrange(8) == 0 else {}
        said = self.call("llminfer", model="m", prompt=prompt, max_tokens=tokens, wait=False,
                         priority=self.random.randrange(8), **session)
        if "code" in said:
            assert said["code"] in TOO_MUCH, said
        else:
            assert said["id"] not in self.open, "an id twice"
            self.open[said["id"]] = Open(prompt, tokens)

    def poll(self, request):
        known = self.open[request]
        said = self.call("llmpoll", id=request, max=4, **({"from": known.next} if self.random.randrange(2) else {}))
        if "code" in said:
            # Results that were read to their end may be forgotten, and no others.
            assert said["code"] == "llm-no-request" and known.complete, said
            del self.open[request]
            return
        # What was asked for by its number may come again until a later one is asked for. Each piece has one token.
        again = known.next - said["from"]
        assert 0 <= again <= known.next and said["next"] - said["from"] == len(said["ids"]), (said, known.next)
        assert known.tokens[said["from"]:said["next"]] == said["ids"][:again], (said, known.tokens)
        known.tokens += said["ids"][again:]
        known.next = max(known.next, said["next"])
        assert known.tokens == self.answers[known.prompt][:len(known.tokens)], (known.prompt, known.tokens)
        if said["finished"] and known.next == said["tokens"]:
            assert len(known.tokens) == said["tokens"], said
            assert known.cancelled or len(known.tokens) == known.max_tokens, said
            self.whole += not known.complete and not known.cancelled
            known.complete = True

    def wait_for_one(self):
        """Reads an answer to its end, so that there are some however slow the machine is."""
        request = next((number for number, known in self.open.items() if not known.cancelled), None)
        while request in self.open and not self.open[request].complete:
            self.poll(request)
            time.sleep(0.01)

    def end(self, op, request):
        said = self.call(op, id=request)
        assert "code" not in said or self.open[request].complete, said
        self.open[request].cancelled = True


class Storm(harness.MachineTest):
    def result(self, connection, op, **arguments):
        command, _, body = connection.call(2, op, arguments)
        self.assertEqual(command, protocol.REPLY, body)
        return body["result"]

    def find_answers(self, machine):
        with machine.session() as connection:
            answers = {}
            for prompt in PROMPTS:
                request = self.result(connection, "llminfer", model="m", prompt=prompt, max_tokens=MAX_TOKENS, wait=False)["id"]
                harness.wait_until(lambda: self.result(connection, "llmpoll", id=request, **{"from": 0})["finished"], "an answer")
                answers[prompt] = self.result(connection, "llmpoll", id=request, **{"from": 0})["ids"]
            return answers

    def run_clients(self, machine, answers, operations, first):
        whole, failures = [], []

        def run(number):
            try:
                client = Client(machine, number, answers)
                try:
                    for _ in range(operations):
                        client.act()
                    client.wait_for_one()
                finally:
                    client.connection.close()
                whole.append(client.whole)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(f"client {number}: {error!r}")
        threads = [threading.Thread(target=run, args=(first + number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        return sum(whole)

    def heap_when_quiet(self, machine):
        with machine.session() as connection:
            def is_quiet():
                status = self.result(connection, "llmctl status")
                return status["running"] + status["queued"] + status["kept"] + status["sessions"] == 0
            harness.wait_until(is_quiet, "the end of all requests")
            return self.result(connection, "mem")["heap_live_bytes"]

    def test_nothing_is_lost_or_doubled_and_nothing_stays(self):
        gguf_models.put(self.folder / "m.gguf", False)
        llm = {"allow_unsigned": True, "models": [{"file": "m.gguf"}], **LIMITS}
        machine = self.machine(f"apiVersion: sis/v1\nmachine: {{memory: 256MiB}}\nllm: {json.dumps(llm)}\n").wait_ready()
        answers = self.find_answers(machine)
        self.run_clients(machine, answers, 4, 1000)  # whatever is allocated once, now is
        before = self.heap_when_quiet(machine)
        self.assertGreater(self.run_clients(machine, answers, OPERATIONS // CLIENTS, 0), 0)
        self.assertLessEqual(self.heap_when_quiet(machine), before + 16 * 1024)
        with machine.session() as connection:
            stats = self.result(connection, "llmstats")
        self.assertEqual(stats["requests"], stats["finished"])
        self.assertEqual(stats["failed"], 0)
        print(f"llm storm: {OPERATIONS} operations of {CLIENTS} clients, {stats['requests']} requests, "
              f"{stats['tokens_out']} tokens", flush=True)


if __name__ == "__main__":
    unittest.main()
