"""16 clients of the kernel's LLM service that do whatever they like over the control protocol: submit, read, poll, cancel,
release, go away. Every answer is what it is alone, piece by piece, also one that was cut: by its length, by cancellation, a
deadline or a budget it is the beginning of the same text. The audit log has every record: one submission and one end of each
request, with as many tokens. Afterwards the guest's heap is as after a first, shorter storm.

SIS_LLM_OPERATIONS is how many things they do together (default 480; `./sis soak llm` does more); on the CPU a quarter of that.
"""

import collections
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
FIRST_OPERATIONS = 160  #: of the storm before it, so that whatever is allocated once now is
#: Bytes: what an open connection of the control server keeps of its output's buffer when it is empty (kFlushBytes), at most.
OUTPUT_KEPT = 16 * 1024
MAX_TOKENS = 12
PROMPTS = ("one", "two", "three", "four")
LIMITS = {"requests": 48, "requests_per_owner": 4, "queue": 24, "in_flight": 6, "sessions": 4, "period": "1s"}
TOKENS_PER_PERIOD = 600
#: What a client may be told when it asks for too much.
TOO_MUCH = ("llm-too-many-requests", "llm-queue-full", "llm-too-many-sessions", "llm-over-budget")


class Answer:
    """What a prompt is answered by a request that is alone."""

    def __init__(self, ids, texts, cycles):
        self.ids, self.texts = ids, texts  #: all tokens; by how many there are, their text
        self.cycles = cycles


class Open:
    """A request as its client knows it."""

    def __init__(self, prompt, max_tokens, by_number, limits):
        self.prompt, self.max_tokens, self.limits = prompt, max_tokens, limits
        self.by_number = by_number  #: asks for pieces by their number, which may bring some again; else for new ones
        self.next, self.tokens, self.text = 0, [], ""
        self.cancelled = self.complete = False

    def may_end(self, stop):
        """Whether that is a reason for this one to end. Any may run out of the periods that its tokens were promised for."""
        return (stop == "length" and len(self.tokens) == self.max_tokens or stop == "budget" or
                stop == "cancelled" and self.cancelled or stop == "deadline" and "deadline_ms" in self.limits)


class Client:
    def __init__(self, machine, number, answers):
        self.machine, self.answers = machine, answers
        self.random = random.Random(number)
        self.open, self.ends = {}, {}  #: of requests that were read to their end: (why, tokens)
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
        limits = {}
        if self.random.randrange(8) == 0:
            limits["deadline_ms"] = self.random.randint(1, 60)
        if self.random.randrange(8) == 0:
            limits["max_cycles"] = self.random.randint(1, self.answers[prompt].cycles)
        said = self.call("llminfer", model="m", prompt=prompt, max_tokens=tokens, wait=False,
                         priority=self.random.randrange(8), **session, **limits)
        if "code" in said:
            assert said["code"] in TOO_MUCH, said
        else:
            assert said["id"] not in self.open and said["id"] not in self.ends, "an id twice"
            self.open[said["id"]] = Open(prompt, tokens, self.random.randrange(2) == 0, limits)

    def poll(self, request):
        known = self.open[request]
        how = {"max": 4, **({"from": known.next} if self.random.randrange(2) else {})} if known.by_number else {}
        said = self.call("llmpoll", id=request, **how)
        if "code" in said:
            # Results that were read to their end may be forgotten, and no others.
            assert said["code"] == "llm-no-request" and known.complete, said
            del self.open[request]
            return
        # What was asked for by its number may come again until a later one is asked for. Each piece has one token.
        again = known.next - said["from"]
        assert 0 <= again <= known.next and said["next"] - said["from"] == len(said["ids"]), (said, known.next)
        assert known.by_number or again == 0, said
        assert known.tokens[said["from"]:said["next"]] == said["ids"][:again], (said, known.tokens)
        known.tokens += said["ids"][again:]
        known.text += said["text"]
        known.next = max(known.next, said["next"])
        assert known.tokens == self.answers[known.prompt].ids[:len(known.tokens)], (known.prompt, known.tokens)
        if said["finished"] and known.next == said["tokens"]:
            self.check_end(request, known, said)

    def check_end(self, request, known, said):
        """All of it has come: it is what is said alone to so many tokens, and had a reason to end there."""
        assert len(known.tokens) == said["tokens"] <= known.max_tokens, said
        assert known.may_end(said["stop"]), (said, vars(known))
        assert known.by_number or known.text == self.answers[known.prompt].texts[len(known.tokens)], (said, vars(known))
        assert self.ends.setdefault(request, (said["stop"], said["tokens"])) == (said["stop"], said["tokens"]), said
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
            def alone(prompt, tokens):
                said = self.result(connection, "llminfer", model="m", prompt=prompt, max_tokens=tokens, wait=False)
                harness.wait_until(lambda: self.result(connection, "llmpoll", id=said["id"], **{"from": 0})["finished"], "an answer")
                said = self.result(connection, "llmpoll", id=said["id"], **{"from": 0})
                self.result(connection, "llmrelease", id=said["id"])
                self.assertEqual((said["stop"], len(said["ids"])), ("length", tokens))
                return said
            answers = {}
            for prompt in PROMPTS:
                said = [alone(prompt, tokens) for tokens in range(1, MAX_TOKENS + 1)]
                answers[prompt] = Answer(said[-1]["ids"], ["", *(one["text"] for one in said)], said[-1]["cycles"])
            return answers

    def run_clients(self, machine, answers, operations, first):
        """Returns the ends of the requests that were read to them, by request: (why, tokens)."""
        clients, failures = [], []

        def run(number):
            try:
                client = Client(machine, number, answers)
                try:
                    for _ in range(operations):
                        client.act()
                    client.wait_for_one()
                finally:
                    client.connection.close()
                clients.append(client)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(f"client {number}: {error!r}")
        threads = [threading.Thread(target=run, args=(first + number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        ends = [end for client in clients for end in client.ends.items()]
        self.assertEqual(len(dict(ends)), len(ends), "two clients have the same request")
        return dict(ends)

    def heap_when_quiet(self, machine):
        """(bytes, blocks) that are allocated when all clients have gone and the service has freed what they had."""
        with machine.session() as connection:
            def is_quiet():
                status = self.result(connection, "llmctl status")
                # This one and that of the monitor, which follows the audit log.
                open_connections = self.result(connection, "counters")["control_connections_open"]
                return status["running"] + status["queued"] + status["kept"] + status["sessions"] == 0 and open_connections == 2
            harness.wait_until(is_quiet, "the end of all requests and connections")
            readings = collections.deque(maxlen=10)

            def is_still():
                found = self.result(connection, "mem")
                readings.append((found["heap_live_bytes"], found["heap_live_blocks"]))
                return len(readings) == readings.maxlen and len(set(readings)) == 1
            # Sequences are freed behind the last end, and the monitor's connection has records to send.
            harness.wait_until(is_still, "a heap that stays as it is")
            return readings[-1]

    def check_heap(self, before, after):
        """As many bytes and blocks, but for the buffer of the monitor's connection."""
        self.assertLessEqual(abs(after[0] - before[0]), OUTPUT_KEPT, (before, after))
        self.assertLessEqual(abs(after[1] - before[1]), 1, (before, after))

    def check_audit(self, machine, ends, stats):
        """The log is whole: each request that was taken has one submission and one end, the one that its client was told, and
        each that was refused a record of that."""
        file = machine.run_dir / "audit.jsonl"
        verified = harness.run(harness.SISCTL, "--json", "audit", "verify", file)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        self.assertEqual(lines[-1]["end"], "shutdown")
        records = lines[1:-1]
        self.assertEqual(records[-1]["op"], "shutdown", records[-1])
        self.assertEqual([line.get("sequence") for line in records], list(range(1, len(records) + 1)))
        self.assertEqual([line for line in records if line["event"] == "records-lost"], [])
        counts = collections.Counter((line["event"], line["op"]) for line in records)
        self.assertEqual((counts["llm", "submit"], counts["llm", "end"], counts["call-done", "llminfer"]),
                         (stats["requests"],) * 3)
        self.assertEqual((counts["llm", "refuse"], counts["call-refused", "llminfer"]), (stats["rejects"],) * 2)
        submitted = {line["request"] for line in records if (line["event"], line["op"]) == ("llm", "submit")}
        ended = {line["request"]: (line["code"], line["tokens"]) for line in records if (line["event"], line["op"]) == ("llm", "end")}
        self.assertEqual((len(submitted), submitted), (stats["requests"], set(ended)))
        self.assertEqual(ends, {number: end for number, end in ended.items() if number in ends})
        return len(records)

    def storm(self, npu, operations):
        gguf_models.put(self.folder / "m.gguf", False)
        llm = {"allow_unsigned": True, "models": [{"file": "m.gguf"}], **LIMITS}
        machine = self.machine(f"apiVersion: sis/v1\nmachine: {{memory: 256MiB}}\nnpu: {npu}\ncontrol: {{audit: true}}\n"
                               f"llm: {json.dumps(llm)}\n").wait_ready()
        answers = self.find_answers(machine)
        with machine.session() as connection:
            self.result(connection, "llmctl budget", tokens_per_period=TOKENS_PER_PERIOD)
        ends = self.run_clients(machine, answers, FIRST_OPERATIONS // CLIENTS, 1000)
        before = self.heap_when_quiet(machine)
        began = time.monotonic()
        ends |= self.run_clients(machine, answers, operations // CLIENTS, 0)
        took_s = time.monotonic() - began
        self.assertGreater(len(ends), 0)
        after = self.heap_when_quiet(machine)
        with machine.session() as connection:
            stats = self.result(connection, "llmstats")
        self.assertEqual(stats["requests"], stats["finished"])
        self.assertEqual(stats["failed"], 0)
        machine.ctl("shutdown")
        self.assertEqual(machine.wait(), 0)
        records = self.check_audit(machine, ends, stats)
        reasons = collections.Counter(stop for stop, _ in ends.values())
        print(f"llm storm: npu {npu}, {operations} operations of {CLIENTS} clients in {took_s:.1f} s, {stats['requests']} requests, "
              f"{stats['rejects']} refused, {stats['tokens_out']} tokens, heap (bytes, blocks) {before} before and {after} after, "
              f"{records} audit records; read to their end {len(ends)}: {dict(sorted(reasons.items()))}", flush=True)
        self.check_heap(before, after)

    def test_nothing_is_lost_or_doubled_and_nothing_stays(self):
        self.storm("on", OPERATIONS)

    def test_nor_is_it_on_the_cpu(self):
        self.storm("off", OPERATIONS // 4)


if __name__ == "__main__":
    unittest.main()
