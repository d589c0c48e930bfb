#!/usr/bin/env python3
"""Sends a real machine many control requests of mixed kinds and checks that each was answered once, as it should be.

usage: request_load.py [--requests N] [--clients N] [--seed N]

The clients are tests/control/load: pings of several sizes, one by one, in pipelines and read late; what tells of the
machine; graphs made, run, shown and removed; sleeps that end and that are cancelled; the trace, watched; lines of the
shell; unknown and wrong commands; commands without the right or a token; broken frames, half ones, connections that end
in the middle. They check every answer. Afterwards the guest has counted as many requests and answers as they have,
holds no connection but the one that asks, and its memory and the monitor's are where they were after a first, shorter
round (MEMORY below).
"""

import argparse
import json
import subprocess
import sys
import tempfile

import harness
import soak

SCENARIO = "apiVersion: sis/v1\nname: request-load\n"
LOAD = harness.BUILD / "tests/control/load/control_load"
# The guest's heap: not a byte, not a block more. Its pages: the heap keeps slabs that it has had to take at a busy
# moment, so that a busier one may come later; 256 KiB is a quarter of a byte for each of a million requests.
MORE_PAGES_ALLOWED = 256 << 10
MEMORY = ("heap_live_bytes", "heap_live_blocks", "pages_used_bytes")


class Guest:
    """Asks the machine, and knows how many requests that took."""

    def __init__(self, machine):
        self.machine, self.requests = machine, 0

    def call(self, op, **arguments):
        self.requests += 2  # with Hello
        return soak.call(self.machine, op, **arguments)

    def settle(self):
        """Waits until the guest has let go of every connection but the one that asks; returns its counters."""
        harness.wait_until(lambda: self.call("counters")["control_connections_open"] == 1, "connections to be let go")
        return self.call("counters")

    def memory(self):
        found = self.call("mem")
        return {name: found[name] for name in MEMORY}


def send(machine, requests, clients, seed):
    """Returns what the clients have to tell (tests/control/load/figures.hpp)."""
    done = subprocess.run([str(word) for word in (LOAD, machine.run_dir, requests, clients, seed)], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=3600)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{LOAD} exited with {done.returncode}")
    return json.loads(done.stdout)


def check_counters(before, after, report, own):
    """What the guest has counted against what the clients have; `own`: requests that this script sent in between."""
    failures = []
    delta = {name: after[name] - before[name] for name in before if name.startswith("control_")}
    answers = delta["control_replies_ok"] + delta["control_replies_error"]
    if delta["control_requests"] != answers + delta["control_unanswered"]:
        failures.append(f"requests are not answers and unanswered ones: {delta}")
    least = report["answered"] + own
    if not least <= answers <= least + report["abandoned"]:
        failures.append(f"{answers} answers for {least} requests and {report['abandoned']} abandoned ones")
    return failures


def check_memory(before, after, resident, resident_after):
    failures = []
    for name in MEMORY:
        allowed = MORE_PAGES_ALLOWED if name == "pages_used_bytes" else 0
        if after[name] - before[name] > allowed:
            failures.append(f"the guest's {name} went from {before[name]} to {after[name]}, allowed: {allowed} more")
    if resident_after > soak.resident_allowed_kib(resident):
        failures.append(f"sisvmm grew from {resident} to {resident_after} KiB")
    return failures


def print_table(report):
    print(f"{'round trip in us':<26}{'requests':>10}{'p50':>10}{'p99':>10}{'max':>10}")
    for kind, found in sorted(report["kinds"].items(), key=lambda item: -item[1]["count"]):
        times = "".join(f"{'-' if found[key] is None else format(found[key] / 1000, '.1f'):>10}"
                        for key in ("p50_ns", "p99_ns", "max_ns"))
        print(f"{kind:<26}{found['count']:>10}{times}")
    print(f"resolution of the clock: {report['clock_resolution_ns']} ns; -: too few to tell")


def measure(machine, options):
    """Returns what was wrong."""
    guest = Guest(machine)
    guest.call("trace", action="on")  # there is something to watch
    # A first round lets buffers, caches and the heap's slabs grow to their working size.
    failures = send(machine, max(1000, options.requests // 20), options.clients, options.seed + 1)["failures"]
    before = guest.settle()
    own, memory, resident = guest.requests, guest.memory(), soak.resident_kib(machine.process.pid)
    report = send(machine, options.requests, options.clients, options.seed)
    after = guest.settle()
    # The call that reads the counters is answered after it has read them, before and after.
    own = guest.requests - own
    memory_after, resident_after = guest.memory(), soak.resident_kib(machine.process.pid)
    failures += report["failures"] + check_counters(before, after, report, own)
    failures += check_memory(memory, memory_after, resident, resident_after)
    if not report["failures"] and report["answered"] < options.requests:
        failures.append(f"{report['answered']} requests, not {options.requests}")
    print_table(report)
    figures = {"requests": report["answered"], "seconds": round(report["seconds"], 1),
               "per_second": round(report["answered"] / report["seconds"]), "connections": report["sessions"],
               "events": report["events"], "abandoned": report["abandoned"], "clients": options.clients,
               "seed": options.seed}
    figures |= {f"guest_{name}": f"{memory[name]} -> {memory_after[name]}" for name in MEMORY}
    figures["sisvmm_rss_kib"] = f"{resident} -> {resident_after}"
    figures["sisvmm_peak_rss_kib"] = soak.resident_kib(machine.process.pid, "VmHWM")
    print("request load: " + ", ".join(f"{name}={value}" for name, value in figures.items()))
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=32, help="up to 140")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sis-") as folder:
        machine = harness.Machine(folder, SCENARIO, "requests")
        try:
            machine.wait_ready()
            failures = measure(machine, options)
        finally:
            machine.destroy()
    for failure in failures:
        print(f"request load: FAILED: {failure}")
    print(f"{0 if failures else 1} passed, {1 if failures else 0} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
