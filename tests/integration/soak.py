#!/usr/bin/env python3
"""Keeps one machine under mixed load for a long time and checks at the end that nothing was lost and nothing leaked.

usage: soak.py [--seconds N] [--clients N] [--seed N]

Clients of four kinds run side by side: pings that check every reply, clients that vanish in mid-request, hostile bytes,
echo streams with checksums. At the end every request that was fully sent and not abandoned had exactly one reply, the
guest holds no connection but the one that asks, its heap is back where it was, and the monitor's memory did not grow.
"""

import argparse
import hashlib
import pathlib
import random
import socket
import sys
import tempfile
import threading
import time

import harness
import protocol
from protocol import CALL, HELLO, REPLY, make_token, request

SCENARIO = "apiVersion: sis/v1\nname: soak\ncontrol: {test_services: true}\n"
ECHO = 7


class Load:
    """What the clients share."""

    def __init__(self, machine, seconds):
        self.machine, self.key = machine, machine.key
        self.end = time.monotonic() + seconds
        self.lock = threading.Lock()
        self.figures = {"pings": 0, "vanished": 0, "hostile": 0, "echo_bytes": 0}
        self.failures = []

    def running(self):
        return time.monotonic() < self.end and not self.failures

    def count(self, name, amount=1):
        with self.lock:
            self.figures[name] += amount

    def fail(self, what):
        with self.lock:
            self.failures.append(what)


def pinging(load, generator):
    with protocol.session(load.machine.socket, load.key, timeout=harness.LIMIT_S) as connection:
        for number in range(2, generator.randrange(10, 200)):
            payload = "p" * generator.randrange(0, 1000)
            command, answered, body = connection.call(number, "ping", {"payload": payload})
            if (command, answered) != (REPLY, number) or body["result"]["payload"] != payload:
                load.fail(f"ping {number} was answered with {command} {answered} {body}")
            load.count("pings")


def vanishing(load, generator):
    connection = protocol.Connection(load.machine.socket, timeout=harness.LIMIT_S)
    data = request(HELLO, 1, {"token": make_token(load.key)})
    data += b"".join(request(CALL, n, {"op": "ping", "args": {"payload": "v" * 500}}) for n in range(2, 50))
    connection.send(data[:generator.randrange(1, len(data))])
    if generator.random() < 0.5:
        # An RST instead of an orderly end: Unix sockets report it to the peer when unread data is dropped.
        connection.socket.shutdown(socket.SHUT_RD)
    connection.close()
    load.count("vanished")


def hostile(load, generator):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(harness.LIMIT_S)
        connection.connect(str(load.machine.socket))
        line = generator.choice([b"", b"CONN", b"CONNECT 5000\n", b"CONNECT 1\n", b"\n", b"CONNECT " + b"9" * 100])
        try:
            connection.sendall(line + generator.randbytes(generator.randrange(0, 3000)))
        except (BrokenPipeError, ConnectionResetError):
            pass
    load.count("hostile")


def echoing(load, generator):
    total = generator.randrange(1, 1 << 20)
    data = generator.randbytes(total)
    with protocol.Connection(load.machine.socket, ECHO, timeout=harness.LIMIT_S) as connection:
        def send():
            connection.send(data)
            connection.socket.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        received = hashlib.sha256()
        while part := connection.socket.recv(65536):
            received.update(part)
        sender.join()
    if received.digest() != hashlib.sha256(data).digest():
        load.fail(f"an echo of {total} bytes came back changed")
    load.count("echo_bytes", total)


KINDS = (pinging, pinging, vanishing, hostile, echoing)


def client(load, seed):
    generator = random.Random(seed)
    while load.running():
        kind = generator.choice(KINDS)
        try:
            kind(load, generator)
        except (OSError, protocol.ProtocolError, AssertionError) as error:
            load.fail(f"{kind.__name__}, seed {seed}: {error!r}")


def resident_kib(pid, field="VmRSS"):
    """What a process has in memory; VmHWM: at most so far."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"no {field} for process {pid}")


def resident_allowed_kib(before):
    """What the monitor may have after a load: a tenth more, and what its allocator keeps."""
    # The sanitised build keeps freed memory in quarantine, up to 256 MiB.
    return before * 1.1 + (262144 if "debug" in str(harness.BUILD) else 1024)


def call(machine, op, **arguments):
    with machine.session() as connection:
        command, _, body = connection.call(2, op, arguments)
        if command != REPLY:
            raise RuntimeError(f"{op}: {body}")
        return body["result"]


def put_under_load(machine, seconds, clients, seed):
    load = Load(machine, seconds)
    threads = [threading.Thread(target=client, args=(load, seed * 1000 + index)) for index in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load


def settle(machine):
    """Waits until the guest has let go of every connection but the one that asks."""
    harness.wait_until(lambda: call(machine, "counters")["control_connections_open"] == 1, "connections to be let go")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sis-") as folder:
        machine = harness.Machine(folder, SCENARIO, "soak")
        try:
            machine.wait_ready()
            # A first round lets buffers and caches grow to their working size.
            failures = put_under_load(machine, min(10, options.seconds), options.clients, options.seed + 1).failures
            settle(machine)
            heap, resident = call(machine, "mem")["heap_live_bytes"], resident_kib(machine.process.pid)
            load = put_under_load(machine, options.seconds, options.clients, options.seed)
            failures += load.failures
            settle(machine)
            heap_after, resident_after = call(machine, "mem")["heap_live_bytes"], resident_kib(machine.process.pid)
        finally:
            machine.destroy()
    figures = {"seconds": options.seconds, "clients": options.clients, "seed": options.seed, **load.figures,
               "guest_heap_bytes": f"{heap} -> {heap_after}", "sisvmm_rss_kib": f"{resident} -> {resident_after}"}
    print("soak: " + ", ".join(f"{name}={value}" for name, value in figures.items()))
    if heap_after != heap:
        failures.append(f"the guest's heap went from {heap} to {heap_after} live bytes")
    if resident_after > resident_allowed_kib(resident):
        failures.append(f"sisvmm grew from {resident} to {resident_after} KiB")
    for failure in failures:
        print(f"soak: FAILED: {failure}")
    print(f"{0 if failures else 1} passed, {1 if failures else 0} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
