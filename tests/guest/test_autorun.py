"""A machine that works on its own: two runs under icount leave the same console, trace and history, byte for byte; and
a line that fails ends the machine."""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

import guest_image
from guest_image import ROOT

sys.path.insert(0, str(ROOT / "tools/examples"))
import sis_client  # noqa: E402

SISVMM = pathlib.Path(os.environ.get("SIS_BUILD", ROOT / "build/host-debug")) / "vmm/cli/sisvmm"
SCENARIO = """apiVersion: sis/v1
machine: {accel: tcg, cpu: cortex-a72, cpus: 2, icount_shift: 3}
observe: {metrics: 10ms}
scheduler:
  servers: [{name: camera, budget: 1ms, period: 5ms}]
tasks: [{name: camera, server: camera, periodic: {period: 5ms, work: 500us}}]
graphs:
  - name: demo
    server: {budget: 2ms, period: 10ms}
    start: manual
    channels: [{id: 1, capacity: 2}, {id: 2, capacity: 2, policy: drop-oldest}]
    operators:
      - {id: 1, name: from, kind: image-source, stage: acquire, out: [1], parameters: {width: 16, period_us: 500}}
      - {id: 2, name: edges, kind: threshold, stage: clean, cpu: 1, in: [1], out: [2], parameters: {level: 128}}
      - {id: 3, name: to, kind: sink, stage: explain, in: [2]}
autorun:
  - graph start demo 100
  - graph wait demo
  - sched
  - metrics
"""
OF_A_GRAPH = {"op-begin", "op-end", "channel-send", "channel-receive"}


class Observed:
    """`sisvmm run` in the background, and what a client of it gets."""

    def __init__(self, folder, name, text=SCENARIO):
        (folder / f"{name}.yaml").write_text(text)
        self.run_dir = folder / name
        self.process = subprocess.Popen(
            [SISVMM, "run", folder / f"{name}.yaml", "--backend", "qemu", "--run-dir", self.run_dir, "--name",
             f"{name}-{os.getpid()}-{folder.name}"], env={**os.environ, "SIS_KERNEL": str(guest_image.KERNEL)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def client(self):
        deadline = time.monotonic() + guest_image.LIMIT_S
        while not ((self.run_dir / "control.key").exists() and (self.run_dir / "vsock.sock").exists()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the machine has not come up: {self.end()}")
            time.sleep(0.02)
        return sis_client.Client(self.run_dir, timeout_s=guest_image.LIMIT_S)

    def end(self):
        self.process.terminate()
        return self.process.communicate(timeout=guest_image.LIMIT_S)[0]


def follow(client, op, **arguments):
    """The events of a subscription that ends by itself, and its result."""
    events = []
    client.on_event = lambda _, body: events.append(body)
    return events, client.call(op, **arguments)


def record(folder, name):
    machine = Observed(folder, name)
    try:
        client = machine.client()
        trace, trace_end = follow(client, "watch trace", raw=True, from_start=True)
        history, history_end = follow(client, "watch history", from_start=True)
        names = client.call("trace names")
        histograms = client.call("histograms")
        client.close()
    finally:
        output = machine.end()
    console = (machine.run_dir / "console.log").read_text()
    return {"trace": b"".join(event["records"] for event in trace), "trace_events": trace, "trace_end": trace_end,
            "history": history, "history_end": history_end, "names": names, "histograms": histograms,
            "console": console.partition("METRIC boot_to_control_ready_ns")[0], "output": output}


class Autorun(unittest.TestCase):
    def test_two_runs_leave_the_same(self):
        with tempfile.TemporaryDirectory(prefix="sis-") as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda name: record(pathlib.Path(folder), name), ("a", "b"))
        self.assertIn("autorun> graph wait demo\n", first["console"], first["output"])
        self.assertIn("end: finished", first["console"])
        self.assertEqual(first["console"], second["console"])
        self.assertEqual(len(first["trace"]) % 32, 0)
        self.assertEqual(first["trace"], second["trace"])
        self.assertEqual(first["history"], second["history"])
        # The machine goes on: only what its graph did is over.
        graph = [{name: figures for name, figures in run["histograms"]["histograms"].items() if name.startswith("op_")}
                 for run in (first, second)]
        self.assertEqual(graph[0], graph[1])
        self.check_trace(first)
        self.check_history(first)

    def check_trace(self, run):
        self.assertEqual(run["trace_end"]["end"], "frozen")
        self.assertEqual([event.get("frozen", False) for event in run["trace_events"]],
                         [False] * (len(run["trace_events"]) - 1) + [True])
        self.assertEqual(run["trace_end"]["lost"], 0)
        header = (ROOT / "abi/include/abi/trace.hpp").read_text()
        names = re.findall(r'^    \{"([a-z-]+)", \{\{', header, re.MULTILINE)
        types = {int.from_bytes(run["trace"][at + 8:at + 10], "little") for at in range(0, len(run["trace"]), 32)}
        found = {names[number] for number in types}
        self.assertLessEqual(OF_A_GRAPH | {"switch", "irq-enter", "work-begin", "replenish"}, found)
        self.assertNotIn("control-begin", found)
        graphs = run["names"]["graphs"]
        self.assertEqual([graph["name"] for graph in graphs.values()], ["demo"])
        self.assertEqual(next(iter(graphs.values()))["operators"]["2"], {"name": "edges", "kind": "threshold"})

    def check_history(self, run):
        self.assertEqual(run["history_end"]["end"], "frozen")
        times = [sample["time_ns"] for sample in run["history"]]
        # A sample is taken when its time has come, or soon after; when things have come or gone it takes longer.
        self.assertTrue(all(time % 10_000_000 < 5_000_000 for time in times[1:-1]), times)
        figures = {}
        for sample in run["history"]:
            figures.update(sample["metrics"])
        self.assertEqual(figures["op_demo_from_runs"], 100)
        self.assertEqual(run["histograms"]["histograms"]["op_demo_from"]["count"], 100)
        self.assertEqual(run["histograms"]["histograms"]["op_demo_from"]["total"], figures["op_demo_from_total_ns"])

    def test_a_line_that_fails_ends_the_machine(self):
        with tempfile.TemporaryDirectory(prefix="sis-") as folder:
            text = "apiVersion: sis/v1\nautorun: [echo a, graph start nothing, echo b]\n"
            machine = Observed(pathlib.Path(folder), "fails", text)
            output, _ = machine.process.communicate(timeout=guest_image.LIMIT_S)
            console = (machine.run_dir / "console.log").read_text()
        self.assertEqual(machine.process.returncode, 5, output)
        self.assertIn("BOOT CONFIG ERROR: autorun-failed: line 2, 'graph start nothing'\n", console)
        self.assertIn("graph start: there is no graph 'nothing'", console)
        self.assertNotIn("echo b", console)


if __name__ == "__main__":
    unittest.main()
