#!/usr/bin/env python3
"""Measures SIS and prints a table; all figures and their samples go to build/bench/results.json.

usage: bench.py [--quick] [--dry-run] [boot] [guest] [graph] [observe] [start] [ping] [throughput] [kvm] [guest-kvm] [npu] [llm]

  boot        guest instructions from reset until the control server listens (QEMU -icount shift=0,sleep=off, where
              one nanosecond of guest time is one instruction; resolution 16 instructions, the tick of the counter)
  guest       what the kernel's parts cost, in guest instructions: the command `bench` (docs/observation.md) on one CPU,
              or two where that takes two, under the same -icount with a counter of 1 GHz, so that the resolution is one instruction; and a system
              call of a program at EL0, from svc to svc, the mean of 10,000 with the loop around them
  graph       what an execution of an operator costs in a running graph, in guest instructions, as `guest`: the hop, the
              operator's own work, and the rest; and handles a second through each channel, on one CPU and two
  observe     what recording a run costs: guest instructions of configs/vision-pipeline.yaml with trace and metrics on
              against off
  start       wall time of `sisvmm run` against plain QEMU for the same work, in alternation: both boot the image to its
              shell, which reads the shutdown command from the console. The same against the life of the QEMU that
              sisvmm runs, whose guest has more to do (it reads a boot archive, drives vsock, checks a token): that is
              what sisvmm itself adds. And of a run that also sends a ping
  ping        round trip of a control request, one connection
  throughput  vsock to and from the guest, beside a virtio-serial port of QEMU with a Linux guest; and the same Linux
              guest's vsock through our device, so that two devices are compared under one kernel
  kvm         the KVM back end beside the least that runs a guest on KVM, in instructions (tests/kvm/measure.py); only
              when named, since it needs the build for ARM64
  guest-kvm   the command `bench` again, in time, on KVM: this host's if it is an ARM64 host, else the nested host's,
              which is emulated, so that the nanoseconds are the emulator's; only when named, for the same reason
  npu         the NPU's commands on this host through the device's engine, on one thread and two, beside what the host
              reads and multiplies at best, a plain loop and Eigen; how far targets are met, and what the cost model's
              cycles take. And from an emulated guest what a job costs besides its commands, in time and in instructions
              (docs/npu-bench.md); only when named, since it takes two minutes
  llm         language models of random weights, three shapes: tokens a second of an emulated guest, on the NPU and on its
              CPU, beside a plain engine on this host; the time to the first token; what of a token the guest takes
              (docs/llm-bench.md); only when named, since it takes some ten minutes and 700 MB of disk

A benchmark never fails because a machine is slow: the exit code tells only whether everything could be measured.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import llm_bench
import npu_guest
import npu_host
import observe_cost
import virtio_serial

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "linux"))
import linux_guest  # noqa: E402
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kvm"))
import measure  # noqa: E402
import nested_host  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SISVMM = ROOT / "build/host-release/vmm/cli/sisvmm"
SISCTL = ROOT / "build/host-release/tools/sisctl"
IMAGE = ROOT / "build/guest/sis.Image"
CPU = "cortex-a72"
BLOCK = 65536
DISCARD_PORT = 9
CHARGEN_PORT = 19


def scenario_text(memory="512MiB", icount=False, steps="  - {name: ready, op: ping}\n", services=False, cpu=CPU, cpus=1,
                  npu=False):
    text = f"apiVersion: sis/v1\nname: bench\nmachine: {{cpu: '{cpu}', cpus: {cpus}, memory: {memory}"
    text += ", icount_shift: 0}\n" if icount else "}\n"
    if npu:
        text += "npu: on\n"
    if services:
        text += "control: {test_services: true}\n"
    return text + ("steps:\n" + steps if steps else "")


def run_command(arguments, **options):
    done = subprocess.run([str(a) for a in arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} exited with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def run_scenario(folder, text, **options):
    """Runs a scenario to its end; returns its summary."""
    path = folder / "bench.yaml"
    path.write_text(text)
    return json.loads(run_command([SISVMM, "run", path, "--json", "--run-dir", folder / "run"], **options))


def boot(folder, quick):
    results = []
    for memory in ("512MiB", "4GiB"):
        summary = run_scenario(folder, scenario_text(memory, icount=True))
        results.append({"name": f"boot_to_control_ready_{memory}", "unit": "guest instructions",
                        "value": summary["metrics"]["boot_to_control_ready_ns"], "resolution": 16,
                        "target": "under 2,000,000"})
    return results


# Issue targets of the release build; in brackets what LK takes for the same.
GUEST_TARGETS = {"thread-switch": "160 (LK: 167)", "event": "240 (LK: 246) and budgets", "timer": "110 (LK: 112)",
                 "timer-thread": "440 (LK: 448)", "mutex": "85 (LK: 88)", "heap-64": "250 (LK: 286)", "syscall": "250",
                 "ring": "60", "channel-block": "60", "channel-drop-oldest": "60", "channel-drop-newest": "60"}
GRAPH_STEPS = 2000
GRAPH_STAGES = 16
EXACT_CPU = f"{CPU},cntfrq=1000000000"  # with -icount shift=0 a tick of its counter is one instruction


def syscall(folder):
    """The mean of a program's getpid; interrupts that come meanwhile are part of it."""
    task = f"tasks:\n  - {{name: syscall_cost, program: {{file: {IMAGE.parent}/user/syscall_cost.elf}}}}\n"
    # Some 2 ms of its instructions, ten times over.
    steps = "  - {name: wait, op: sleep, args: {ms: 20}}\n"
    run_scenario(folder, scenario_text(icount=True, cpu=EXACT_CPU, cpus=2, steps=steps) + task)
    found = re.search(r"syscall_cost: null_syscall_ns=(\d+)\n", (folder / "run/console.log").read_text())
    if found is None:
        raise RuntimeError("the program syscall_cost printed no figure")
    return {"name": "guest_syscall", "unit": "guest instructions", "value": int(found[1]), "samples": 1,
            "operations": 10000, "resolution": 1, "target": GUEST_TARGETS["syscall"],
            "measures": "getpid at EL0, from svc to svc, with the loop around it; the mean of the operations"}


def guest_command(folder, cpus):
    """What the command `bench` finds on so many CPUs: the results by their names, and the number of samples."""
    folder.mkdir()
    with LiveMachine(folder, icount=True, cpu=EXACT_CPU, cpus=cpus) as machine:
        reply = json.loads(machine.ctl("--timeout", "120", "call", "bench"))
    if reply["clock_resolution_ns"] != 1:
        raise RuntimeError(f"the counter's resolution is {reply['clock_resolution_ns']} ns, not one instruction")
    return {found["name"]: found for found in reply["benchmarks"]}, reply["samples"]


def guest(folder, quick):
    alone, samples = guest_command(folder / "one", 1)
    pair, _ = guest_command(folder / "two", 2)
    results = []
    for name, found in pair.items():
        # On one CPU where that will do: an interrupt that finds two comes some instructions later under icount.
        if "why_not" not in alone[name]:
            found = alone[name]
        if "why_not" in found:
            raise RuntimeError(f"{name}: {found['why_not']}")
        def each(key, found=found):
            return round(found[key] / found["operations"], 1)
        target = GUEST_TARGETS.get(found["name"])
        results.append({"name": f"guest_{found['name']}", "unit": "guest instructions", "value": each("median_ns"),
                        "min": each("min_ns"), "p95": each("p95_ns"), "p99": each("p99_ns"), "max": each("max_ns"),
                        "samples": samples, "operations": found["operations"], "resolution": 1,
                        "other_interrupts": found["other_interrupts"], "measures": found["measures"],
                        **({"target": target} if target else {})})
    return [*results, syscall(folder)]


def run_pipeline(folder, stages, cpus, steps=GRAPH_STEPS, icount=True):
    """Runs a source, so many operators that pass their tensors on, and a sink, each on another CPU than the one before
    if there are two. Returns nanoseconds, which are instructions under icount, and what `bench` finds in the machine
    of what an execution consists of."""
    folder.mkdir()
    parts = ("channel-block", "operator-nothing", "operator-pass")
    with LiveMachine(folder, icount=icount, cpu=EXACT_CPU, cpus=cpus) as machine:
        def call(op, **args):
            return json.loads(machine.ctl("--timeout", "120", "call", op, "--args", json.dumps(args)))
        call("graph create", graph="g")
        for channel in range(1, stages + 2):
            call("graph add-channel", graph="g", id=channel, capacity=8)
        call("graph add-operator", graph="g", id=1, name="source", kind="synthetic-source", outputs="1",
             parameters="elements=1,dtype=u8")
        for stage in range(1, stages + 1):
            call("graph add-operator", graph="g", id=1 + stage, name=f"pass{stage}", kind="split", inputs=str(stage),
                 outputs=str(stage + 1), cpu=stage % cpus)
        call("graph add-operator", graph="g", id=stages + 2, name="sink", kind="sink", inputs=str(stages + 1),
             cpu=(stages + 1) % cpus)
        call("graph start", graph="g", steps=steps)
        ran = call("graph wait", graph="g")["ran_ns"]
        stats = call("graph stats", graph="g")
        found = [call("bench", name=part)["benchmarks"][0] for part in parts]
    if any(each["executions"] != steps for each in stats["operators"]) or stats["tensors"]["bytes_copied"] != 0:
        raise RuntimeError(f"the graph did not run as it should: {stats}")
    return ran, {each["name"]: each["median_ns"] / each["operations"] for each in found}


def execution(folder, cpus):
    """Instructions of an execution with its channel, of all CPUs together, and the parts that `bench` finds."""
    short, parts = run_pipeline(folder / f"short{cpus}", 1, cpus)
    long, _ = run_pipeline(folder / f"long{cpus}", 1 + GRAPH_STAGES, cpus)
    return (long - short) / GRAPH_STAGES / GRAPH_STEPS, parts


def graph(folder, quick):
    one, parts = execution(folder, 1)
    two, _ = execution(folder, 2)
    loop = 3  # of the benchmark: add, compare, branch
    hop, work = parts["channel-block"] - loop, parts["operator-pass"] - parts["operator-nothing"]
    mean = {"unit": "guest instructions", "samples": 1, "operations": GRAPH_STAGES * GRAPH_STEPS, "resolution": 1}
    results = [
        {"name": "graph_execution", "value": round(one, 1), **mean,
         "measures": "an execution of an operator that passes its tensor on, with its channel; the mean of the "
                     "operations, as the difference of two graphs that differ by their number of operators"},
        {"name": "graph_execution_hop", "value": round(hop, 1), **mean, "target": "60",
         "measures": "of it: sending a tensor through a channel, and receiving it (bench channel-block, less its loop)"},
        {"name": "graph_execution_work", "value": round(work, 1), **mean,
         "measures": "of it: what the operator does itself (bench operator-pass, less operator-nothing)"},
        {"name": "graph_execution_runtime", "value": round(one - hop - work, 1), **mean, "target": "400",
         "measures": "of it: the rest, which every operator costs, whatever it does"},
        {"name": "graph_execution_two_cpus", "value": round(two, 1), **mean,
         "measures": "as graph_execution, with each channel from one CPU to the other; of both CPUs together, with what "
                     "they do to wake each other"}]
    for where, each in (("one_cpu", one), ("two_cpus", two)):
        results.append({**mean, "name": f"graph_channel_rate_{where}", "value": round(1e9 / each),
                        "unit": "handles in 1e9 instructions",
                        "measures": "through each channel, where a CPU does nothing else"})
    steps = 20000 if quick else 100000
    for cpus in (1, 2):
        runs = [run_pipeline(folder / f"time{cpus}-{i}", 1, cpus, steps, icount=False)[0] for i in range(3)]
        rates = [steps / ran_ns * 1e9 for ran_ns in runs]
        results.append({"name": f"graph_channel_rate_emulated_{cpus}", "unit": "handles a second of this emulator",
                        "value": round(statistics.median(rates)), "min": round(min(rates)), "max": round(max(rates)),
                        "samples": rates,
                        "measures": f"through each channel of a source, an operator and a sink, on {cpus} CPU(s)"})
    return results


def observe(folder, quick):
    def console_of(text):
        run_scenario(folder, text)
        return (folder / "run/console.log").read_text()
    return observe_cost.measure(console_of)


def plain_qemu(folder):
    """Boots the image without sisvmm; its shell reads the shutdown command from the console."""
    arguments = ["qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", CPU, "-m", "512", "-accel", "tcg",
                 "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-kernel", str(IMAGE),
                 "-serial", "stdio"]
    done = subprocess.run(arguments, input=b"shutdown 0\n", capture_output=True, timeout=60)
    if b"sis> " not in done.stdout or done.returncode != 0:
        raise RuntimeError(f"plain QEMU did not boot: {done.stdout[-500:]!r} {done.stderr[-500:]!r}")


def qemu_with_times(folder):
    """A program that runs QEMU and writes when it began and ended; its own start counts as sisvmm's time."""
    wrapper = folder / "qemu-with-times"
    wrapper.write_text(f"#!/bin/bash\nbegin=$EPOCHREALTIME\nqemu-system-aarch64 \"$@\"\nstatus=$?\n"
                       f"echo $begin $EPOCHREALTIME >{folder}/qemu-times\nexit $status\n")
    wrapper.chmod(0o700)
    return wrapper


def boot_and_shut_down(folder, environment):
    """The same under sisvmm: boots the image to its shell, which reads the shutdown command from the console."""
    path = folder / "idle.yaml"
    path.write_text(scenario_text(steps=""))
    done = subprocess.run([SISVMM, "run", path, "-i", "--run-dir", folder / "idle"], input=b"shutdown 0\n",
                          capture_output=True, timeout=60, env=environment)
    if b"sis> " not in done.stdout or done.returncode != 0:
        raise RuntimeError(f"sisvmm did not boot: {done.stdout[-500:]!r} {done.stderr[-500:]!r}")


def start(folder, quick):
    """sisvmm against QEMU alone, for the same work; its own part of that; and what a scenario with a ping takes."""
    rounds = 5 if quick else 31
    text = scenario_text()
    timed = {**os.environ, "SIS_QEMU": str(qemu_with_times(folder))}
    actions = {"sisvmm_run": lambda: boot_and_shut_down(folder, None), "plain_qemu": lambda: plain_qemu(folder),
               "sisvmm_run_timed": lambda: boot_and_shut_down(folder, timed),
               "sisvmm_run_with_ping": lambda: run_scenario(folder, text)}
    samples = {name: [] for name in (*actions, "its_qemu")}
    for action in actions.values():
        action()  # warm-up: page cache
    for index in range(rounds):
        for name, action in actions.items() if index % 2 == 0 else reversed(actions.items()):
            begin = time.perf_counter()
            action()
            samples[name].append(time.perf_counter() - begin)
        began, ended = (folder / "qemu-times").read_text().split()
        samples["its_qemu"].append(float(ended) - float(began))

    def ratio(name, above, below, target=None):
        ratios = [a / b for a, b in zip(samples[above], samples[below])]
        result = {"name": name, "unit": "ratio", "value": statistics.median(ratios), "min": min(ratios),
                  "max": max(ratios), "samples": ratios}
        return result | ({"target": target} if target else {})
    results = [{"name": f"wall_{name}", "unit": "s", "value": statistics.median(values), "min": min(values),
                "max": max(values), "samples": values} for name, values in samples.items()]
    results.append(ratio("wall_ratio_sisvmm_to_plain_qemu", "sisvmm_run", "plain_qemu", "under 1.15"))
    results.append(ratio("wall_ratio_sisvmm_to_its_qemu", "sisvmm_run_timed", "its_qemu"))
    results.append(ratio("wall_ratio_with_ping_to_plain_qemu", "sisvmm_run_with_ping", "plain_qemu"))
    return results


class LiveMachine:
    """A machine that runs until the block ends: the SIS guest, or with linux=True Debian's kernel. `options` are of
    scenario_text()."""

    def __init__(self, folder, linux=False, **options):
        self.folder, self.options = folder, options
        self.name = "linux" if linux else "live"
        self.arguments, self.environment = [], dict(os.environ)
        if linux:
            kernel, wrapper = linux_guest.prepare(folder)
            self.arguments = ["--kernel", kernel]
            self.environment["SIS_QEMU"] = str(wrapper)

    def __enter__(self):
        path = self.folder / f"{self.name}.yaml"
        # Linux has no control server: the monitor waits for one as long as the measurement takes.
        path.write_text(scenario_text(steps="", services=True, **self.options) + "timeouts: {boot: 20m, run: 20m}\n")
        self.run_dir = self.folder / self.name
        self.log = open(self.folder / f"{self.name}.log", "w")
        self.process = subprocess.Popen([SISVMM, "run", path, "--name", f"bench-{self.folder.name}-{self.name}",
                                         "--run-dir", self.run_dir, *self.arguments], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, env=self.environment)
        deadline = time.monotonic() + 30
        while not (self.run_dir / "vsock.sock").exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("the machine did not start: " + (self.folder / f"{self.name}.log").read_text())
            time.sleep(0.01)
        return self

    def ctl(self, *arguments):
        return run_command([SISCTL, "--socket", self.run_dir / "vsock.sock", "--json", *arguments])

    def connect(self, port):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(120)
        connection.connect(str(self.run_dir / "vsock.sock"))
        connection.sendall(f"CONNECT {port}\n".encode())
        answer = virtio_serial.receive_line(connection)
        if not answer.startswith(b"OK "):
            raise RuntimeError(f"CONNECT {port} was answered with {answer!r}")
        return connection

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def nearest_rank(values, percent):
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def ping(folder, quick):
    count = 500 if quick else 10000
    with LiveMachine(folder) as machine:
        machine.ctl("ping", "-n", "100")
        reply = json.loads(machine.ctl("ping", "-n", str(count)))
    return [{"name": "ping_round_trip", "unit": "us", "count": count,
             "value": reply["rtt_ns"]["median"] / 1e3, "min": reply["rtt_ns"]["min"] / 1e3,
             "max": reply["rtt_ns"]["max"] / 1e3, "p99": reply["rtt_ns"].get("p99", 0) / 1e3}]


def vsock_to_guest(machine, blocks):
    data = bytes(BLOCK)
    with machine.connect(DISCARD_PORT) as connection:
        begin = time.perf_counter()
        for _ in range(blocks):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(1):  # the guest closes when it has taken everything
            raise RuntimeError("the discard service sent data")
        return blocks * BLOCK / (time.perf_counter() - begin)


def vsock_from_guest(machine, blocks):
    with machine.connect(CHARGEN_PORT) as connection:
        left = blocks * BLOCK
        begin = time.perf_counter()
        while left > 0:
            received = len(connection.recv(min(left, 4 * BLOCK)))
            if received == 0:
                raise RuntimeError("the chargen service closed the connection")
            left -= received
        return blocks * BLOCK / (time.perf_counter() - begin)


def throughput(folder, quick):
    blocks = 512 if quick else 4096
    rounds = 2 if quick else 3
    ways = ("to_guest", "from_guest")
    samples = {f"{link}_{way}": [] for link in ("vsock", "linux_vsock", "virtio_serial") for way in ways}
    with LiveMachine(folder) as machine, LiveMachine(folder, linux=True) as linux:
        for _ in range(rounds):
            figures = (vsock_to_guest(machine, blocks), vsock_from_guest(machine, blocks),
                       vsock_to_guest(linux, blocks), vsock_from_guest(linux, blocks),
                       *virtio_serial.measure(folder, blocks, CPU))
            for name, figure in zip(samples, figures):
                samples[name].append(figure / 1e6)
    results = [{"name": name, "unit": "MB/s", "value": statistics.median(values), "min": min(values),
                "max": max(values), "samples": values} for name, values in samples.items()]
    for link in ("vsock", "linux_vsock"):
        for way in ways:
            ratios = [a / b for a, b in zip(samples[f"{link}_{way}"], samples[f"virtio_serial_{way}"])]
            results.append({"name": f"{link}_over_virtio_serial_{way}", "unit": "ratio",
                            "value": statistics.median(ratios), "min": min(ratios), "max": max(ratios),
                            "samples": ratios, "target": "at least 1"})
    return results


def kvm(folder, quick):
    try:
        return measure.measure(runs=5 if quick else 21)
    except nested_host.HostError as error:
        raise RuntimeError(str(error)) from error


def npu(folder, quick):
    with LiveMachine(folder, cpu=EXACT_CPU, npu=True) as machine:
        times = npu_guest.measure(machine, quick)
    with LiveMachine(folder, cpu=EXACT_CPU, npu=True, icount=True) as machine:
        instructions = npu_guest.measure_instructions(machine, quick)
    return [*npu_host.measure(folder, quick), *times, *instructions]


def llm(folder, quick):
    def run(text):
        path = folder / "llm.yaml"
        path.write_text(text)
        run_command([SISVMM, "run", path, "--run-dir", folder / "llm"])
        return (folder / "llm/console.log").read_text(errors="replace")
    return llm_bench.measure(run, quick)


ROW = re.compile(r"^([a-z0-9-]+)" + r" +(\d+\.\d)" * 5 + r" +(\d+) +(\d+)  (\S.*)$", re.MULTILINE)


def rows_of(console):
    """The table that `bench` printed: [(name, figures by key)]."""
    resolution = re.search(r"the clock's resolution is (\d+) ns", console)
    if resolution is None or "SIS-EXIT kind=shutdown code=0" not in console:
        raise RuntimeError(f"the guest did not run its benchmarks: {console[-1500:]}")
    if why_not := re.search(r"^.*not measured: .*$", console, re.MULTILINE):
        raise RuntimeError(why_not[0])
    keys = ("min", "value", "p95", "p99", "max")
    return [(name, {**dict(zip(keys, map(float, figures))), "operations": int(each), "other_interrupts": int(others),
                    "measures": measures.strip(), "resolution": int(resolution[1])})
            for name, *figures, each, others, measures in ROW.findall(console)]


def guest_kvm(folder, quick):
    command = ["./sisvmm", "boot", "sis.Image", "--cpus", "2", "--append", "shell=bench; shutdown 0"]
    try:
        files = {**nested_host.monitor(), "sis.Image": IMAGE}
        with nested_host.run(command, files, nested_host.Options(limit_s=110)) as done:
            if done.code != 0:
                raise RuntimeError(f"sisvmm boot exited with {done.code}: {done.stderr[-1500:]}")
            rows = rows_of(done.stdout.replace("\r", ""))
    except nested_host.HostError as error:
        raise RuntimeError(str(error)) from error
    where = "" if nested_host.has_kvm() else "; nested, emulated host: nanoseconds of the emulator"
    return [{"name": f"guest_kvm_{name}", **row,
             "unit": f"ns, resolution {row['resolution']} in {row['operations']} operations{where}"} for name, row in rows]


BENCHES = {"boot": boot, "guest": guest, "graph": graph, "observe": observe, "start": start, "ping": ping, "throughput": throughput, "kvm": kvm,
           "guest-kvm": guest_kvm, "npu": npu, "llm": llm}
DEFAULT = ("boot", "guest", "start", "ping", "throughput")


def print_table(results):
    columns = {"median": "value", "min": "min", "p95": "p95", "p99": "p99", "max": "max"}
    width = max([38, *(len(result["name"]) for result in results)])
    print(f"{'what':{width}} " + " ".join(f"{title:>14}" for title in columns) + "  unit (target)")
    for result in results:
        def cell(key):
            value = result.get(key)
            if value is None:
                return ""
            return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"
        target = f" ({result['target']})" if "target" in result else ""
        cells = " ".join(f"{cell(key):>14}" for key in columns.values())
        print(f"{result['name']:{width}} {cells}  {result['unit']}{target}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--dry-run", action="store_true", help="say what would be measured, and measure nothing")
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"{', '.join(BENCHES)} (default: {', '.join(DEFAULT)})")
    options = parser.parse_args()
    for name in options.what:
        if name not in BENCHES:
            parser.error(f"unknown benchmark '{name}', allowed: {', '.join(BENCHES)}")
    if options.dry_run:
        print(" ".join(options.what or DEFAULT))
        return 0
    results, failures = [], 0
    for name in options.what or DEFAULT:
        print(f"sis: measuring {name}", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="sis-bench-") as folder:
            try:
                results += BENCHES[name](pathlib.Path(folder), options.quick)
            except (RuntimeError, OSError, KeyError, subprocess.TimeoutExpired) as error:
                failures += 1
                print(f"sis: {name} could not be measured: {error}", file=sys.stderr)
    output = ROOT / "build/bench/results.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"machine": platform.platform(), "quick": options.quick, "results": results}, indent=1))
    print_table(results)
    print(f"results: {output.relative_to(ROOT)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
