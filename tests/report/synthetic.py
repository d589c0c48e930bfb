"""Run folders as sisvmm leaves them, made up: all that a page can show, without a machine and the same each time.

usage: synthetic.py FOLDER        writes FOLDER/first and FOLDER/second, and FOLDER/hostile
"""

import json
import pathlib
import random
import sys

SCENARIO = """apiVersion: sis/v1
name: demo
description: "Made up."
scheduler:
  servers:
    - {name: sensor, budget: 2ms, period: 10ms}
    - {name: control, budget: 1ms, period: 20ms}
"""
HOSTILE = "</script><img src=x onerror=alert(1)>"
SAMPLES = 60
INTERVAL_NS = 100_000_000


def summary(machine, rng, passed):
    return {
        "version": "0.1.0", "scenario": "demo", "machine": machine, "outcome": "passed" if passed else "failed",
        "exit_code": 0 if passed else 1, "message": "" if passed else "metric op_demo_end_runs: wanted 1000, actual 998",
        "backend": "qemu", "backend_version": "7.2.22", "accel": "tcg", "cpus": 2, "memory_bytes": 536870912,
        "started": "2026-11-30T17:59:58Z", "duration_ns": 6_412_749_839 + rng.randrange(10**8),
        "boot_host_ns": 109_947_069, "boot_guest_ns": 51_010_288, "guest_exit": {"kind": "shutdown", "code": 0},
        "reboots": 0, "killed": False, "warnings": [] if passed else ["the clock of the host stood still"],
        "warnings_left_out": 0,
        "steps": [
            {"name": "start", "op": "graph start", "status": "passed", "duration_ns": 5_369_532, "sent": 1, "replies": 1,
             "reply": {"status": "ok", "result": {"graph": "demo", "state": "running"}}},
            {"name": "wait", "op": "graph wait", "status": "passed", "duration_ns": 4_206_557_240, "sent": 1, "replies": 1,
             "reply": {"status": "ok", "result": {"graph": "demo", "state": "idle", "executions": 4000}}},
            {"name": "ask", "op": "llm", "status": "passed" if passed else "failed", "duration_ns": 812_000_777, "sent": 3,
             "replies": 3, "reply": {"status": "ok", "result": {"text": "42"}},
             **({} if passed else {"message": "the reply has no result.tokens"})}],
        "expectations": [
            {"kind": "metric", "subject": "op_demo_end_runs", "wanted": "1000", "actual": 1000 if passed else 998,
             "status": "passed" if passed else "failed"},
            {"kind": "console", "subject": "GRAPH demo finished", "wanted": "seen", "actual": True, "status": "passed"}],
        "metrics": {"boot_to_control_ready_ns": 51010288},
        "device_counters": {"vsock_packets_in": 1234, "vsock_packets_out": 987, "vsock_bytes_in": 45120},
        "console": {"bytes": 2190, "bytes_not_logged": 0, "malformed_lines": 0}}


def histogram(rng, middle_ns, count):
    """Samples around a middle, in buckets of a quarter of an octave each, as the guest's are."""
    values = sorted(int(middle_ns * rng.lognormvariate(0, 0.5)) for _ in range(count))
    buckets = {}
    for value in values:
        octave = max(0, value.bit_length() - 3)
        lower = value >> octave << octave
        buckets.setdefault((lower, lower + (1 << octave) - 1), []).append(value)
    rank = lambda permille: values[max(0, -(-len(values) * permille // 1000) - 1)]
    return {"unit": "ns", "count": count, "total": sum(values), "max": values[-1], "p50": rank(500), "p95": rank(950),
            **({"p99": rank(990)} if count >= 100 else {}),
            "buckets": [[lower, upper, len(found)] for (lower, upper), found in sorted(buckets.items())]}


HISTOGRAMS = {"op_demo_camera": (240_000, 1000), "op_demo_smooth": (620_000, 1000), "op_demo_classify": (1_900_000, 1000),
              "op_demo_end": (9_000, 1000), "server_sensor_response": (2_100_000, 600),
              "server_control_response": (900_000, 300), "npu_latency_normal": (1_400_000, 1000),
              "npu_latency_high": (300_000, 80), "llm_token_gap": (11_000_000, 240), "llm_first_token": (60_000_000, 3),
              "llm_infer": (900_000_000, 3), "llm_step": (9_000_000, 250), "control_request": (120_000, 90)}


def growing(rng, per_sample, spread):
    total, out = 0, []
    for _ in range(SAMPLES):
        total += max(0, int(rng.gauss(per_sample, spread)))
        out.append(total)
    return out


def history(rng):
    series = {
        "server_sensor_ran_ns": growing(rng, 15_000_000, 2_000_000), "server_control_ran_ns": growing(rng, 3_000_000, 700_000),
        "npu_busy_ns": growing(rng, 38_000_000, 12_000_000), "npu_jobs": growing(rng, 17, 4),
        "llm_tokens_out": [0] * 20 + [7 * i for i in range(SAMPLES - 20)], "llm_prompt_tokens": [0] * 20 + [96] * (SAMPLES - 20),
        "ch_demo_1_depth": [rng.randrange(0, 5) for _ in range(SAMPLES)],
        "ch_demo_2_depth": [rng.randrange(0, 9) for _ in range(SAMPLES)], "ch_demo_3_depth": [0] * SAMPLES,
        "op_demo_end_runs": growing(rng, 17, 2)}
    series["npu_busy_ns"][0] = None
    return {"interval_ns": INTERVAL_NS, "lost": 0, "times_ns": [INTERVAL_NS * (i + 1) for i in range(SAMPLES)], "series": series}


def metrics(machine, rng):
    final = {"uptime_ns": 6_300_412_880, "boot_to_control_ready_ns": 51_010_288, "pages_free_bytes": 401_604_608,
             "heap_live_bytes": 1_310_720, "cpu0_interrupts": 10_412, "cpu1_interrupts": 6_120 + rng.randrange(500),
             "npu_jobs": 1080, "npu_busy_permille": 381, "npu_deadline_misses": 0, "llm_requests": 3, "llm_infer_us": 903_112,
             "server_sensor_misses": 0, "server_control_misses": rng.randrange(3), "ch_demo_1_drops": 0}
    histograms = {name: histogram(rng, *what) for name, what in HISTOGRAMS.items()}
    for name, each in histograms.items():
        final[f"{name}_total_ns"] = each["total"]
        final[f"{name}_max_ns"] = each["max"]
        for key in ("p50", "p95", "p99"):
            if key in each:
                final[f"{name}_{key}_ns"] = each[key]
    past = history(rng)
    final.update({name: values[-1] for name, values in past["series"].items() if values[-1] is not None})
    return {"format": "sis-metrics", "version": 1, "machine": machine, "scenario": "demo",
            "clock": {"unit": "ns", "resolution_ns": 16}, "final": dict(sorted(final.items())), "histograms": histograms,
            "history": past, "host": {"started": "2026-11-30T17:59:58Z", "duration_ns": 6_412_749_839}}


class Trace:
    """Events, with times in nanoseconds that become texts with three decimals."""

    def __init__(self):
        self.events = []

    def name(self, pid, process, threads):
        self.events.append({"ph": "M", "pid": pid, "name": "process_name", "args": {"name": process}})
        for tid, name in threads.items():
            self.events.append({"ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": {"name": name}})

    def add(self, ph, pid, tid, name, ns, **more):
        self.events.append({"ph": ph, "pid": pid, "tid": tid, "name": name, "ts": ns / 1000, **more})


def trace(rng, periods=40):
    out = Trace()
    out.name(1, "CPUs", {0: "CPU 0", 1: "CPU 1"})
    out.name(2, "Graph demo", {1: "camera", 2: "smooth", 3: "classify", 4: "end"})
    out.name(3, "NPU", {})
    out.name(4, "LLM", {})
    out.name(5, "Control", {})
    out.name(100, "Host", {1: "monitor", 2: "device thread"})
    for i in range(periods):
        at = 60_000_000 + i * 10_000_000
        for cpu in (0, 1):
            now = at + cpu * 700_000
            for thread in ("worker.demo", "sensor", "idle", "control", "idle"):
                length = int(rng.uniform(0.4, 1.9) * 1_500_000)
                out.add("X", 1, cpu, thread, now, dur=length / 1000, args={"thread": thread})
                now += length
            out.add("X", 1, cpu, "interrupt 27", at + 900_000, dur=14.25)
        for tid, (name, begin, length) in enumerate((("camera", 0, 240_000), ("smooth", 400_000, 620_000),
                                                     ("classify", 1_100_000, 1_900_000), ("end", 3_100_000, 9_000)), 1):
            out.add("B", 2, tid, name, at + begin, args={"execution": i})
            out.add("E", 2, tid, name, at + begin + length)
        out.add("C", 2, 0, "channel 1", at, args={"depth": rng.randrange(0, 5)})
        out.add("b", 3, 0, "job", at + 1_200_000, cat="npu", id=i, args={"priority": "normal"})
        out.add("e", 3, 0, "job", at + 2_700_000, cat="npu", id=i)
    at = 100_000_000
    for pid, name, begin, length in ((5, "control", 0, 200_000_000), (4, "llm", 3_000_000, 190_000_000)):
        out.add("b", pid, 0, f"{name} request", at + begin, cat=name, id=1)
        out.add("e", pid, 0, f"{name} request", at + begin + length, cat=name, id=1)
    out.add("i", 1, 0, "deadline-miss", at + 5_000_000, s="t")
    for ph, pid, cat in (("s", 5, 0), ("t", 4, 0), ("f", 3, 0)):
        out.add(ph, pid, 0, "request", at + pid * 1_000_000, cat="flow", id=1)
    out.add("X", 100, 1, "step ask", at - 2_000_000, dur=210_000, cat="host")
    return {"traceEvents": out.events, "displayTimeUnit": "ns", "otherData": {"host": {"uncertainty_ns": 41_000}}}


AUDIT = "\n".join([
    '{"audit":2,"before":"00"}',
    *(json.dumps({"sequence": i + 1, "event": event, "time_ns": 60_000_000 + i * 1_000_000}) for i, event in
      enumerate(["token-accepted", "call-done", "call-done", "llm", "llm", "call-refused"])),
    '{"end":"shutdown","last":6,"hash":"00"}']) + "\n"


def write(folder, summary, scenario=SCENARIO, metrics=None, trace=None, audit=None):
    """A run folder; what is None is not there."""
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    (folder / "scenario.yaml").write_text(scenario)
    for name, value in (("metrics.json", metrics), ("trace.json", trace)):
        if value is not None:
            (folder / name).write_text(json.dumps(value))
    if audit is not None:
        (folder / "audit.jsonl").write_text(audit)


def good(folder, seed, machine="demo", passed=True):
    rng = random.Random(seed)
    write(folder, summary(machine, rng, passed), metrics=metrics(machine, rng), trace=trace(rng), audit=AUDIT)


def hostile(folder):
    """Every name that a guest or a file can choose is markup."""
    rng = random.Random(3)
    run = summary(HOSTILE, rng, False)
    run["message"] = run["warnings"][0] = run["steps"][0]["name"] = HOSTILE
    run["steps"][0]["reply"] = {HOSTILE: HOSTILE}
    run["expectations"][0]["subject"] = run["expectations"][0]["wanted"] = run["expectations"][0]["actual"] = HOSTILE
    run["device_counters"] = {HOSTILE: 1}
    measured = metrics(HOSTILE, rng)
    measured["final"][HOSTILE] = 5
    measured["histograms"][HOSTILE] = histogram(rng, 1000, 5000)
    measured["history"]["series"][f"ch_{HOSTILE}_depth"] = [1] * SAMPLES
    events = trace(rng, 2)
    for each in events["traceEvents"]:
        each["args"] = {"name": HOSTILE}
        if each["ph"] != "M":
            each["name"] = HOSTILE
    audit = '{"audit":2}\n' + json.dumps({"event": HOSTILE, "time_ns": 1}) + "\n"
    write(folder, run, scenario=f"# {HOSTILE}\n", metrics=measured, trace=events, audit=audit)


def main():
    root = pathlib.Path(sys.argv[1])
    good(root / "first", 1)
    good(root / "second", 2, "demo-2", passed=False)
    hostile(root / "hostile")


if __name__ == "__main__":
    main()
