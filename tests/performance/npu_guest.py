"""The NPU from the guest: what a job costs besides its commands, beside the least that a request to the device can be
(docs/npu-bench.md, From the guest)."""

import json
import statistics

# Runs of the guest's command `bench`, each with 1000 samples; what is compared is run in turn.
ROUNDS, ROUNDS_QUICK = 7, 2
ROUNDS_OF_INSTRUCTIONS = 10
ROWS = ("npu-control", "npu-job", "npu-jobs")
MOST_TIMES_A_REQUEST = 3


def call(machine, op, **args):
    return json.loads(machine.ctl("--timeout", "120", "call", op, "--args", json.dumps(args)))


def runs_of(machine, rounds):
    """What the guest finds, so many times: for each row, a list of what `bench` replies."""
    found = {name: [] for name in ROWS}
    for _ in range(rounds):
        for name in ROWS:
            row = call(machine, "bench", name=name)["benchmarks"][0]
            if "why_not" in row:
                raise RuntimeError(f"{name}: {row['why_not']}")
            found[name].append(row)
    if call(machine, "counters")["npu_interrupts"] == 0:
        raise RuntimeError("the guest did not use the NPU's device")
    return found


def target_result(name, ratios):
    ratio = statistics.median(ratios)
    verdict = "met" if ratio <= MOST_TIMES_A_REQUEST else "not met"
    return {"name": f"npu_target_{name}", "unit": "ratio", "value": ratio, "min": min(ratios), "max": max(ratios),
            "samples": ratios, "target": f"at most {MOST_TIMES_A_REQUEST}: {verdict}"}


def time_results(found):
    times = {name: [run["median_ns"] / run["operations"] for run in runs] for name, runs in found.items()}
    results = [{"name": f"npu_guest_{name}", "unit": "ns; of the medians of 1000 samples each",
                "value": statistics.median(each), "min": min(each), "max": max(each), "samples": each,
                "measures": found[name][0]["measures"]} for name, each in times.items()]
    rates = [1e9 / each for each in times["npu-jobs"]]
    return [*results,
            {"name": "npu_guest_jobs_per_second", "unit": "jobs/s, 16 in flight", "value": statistics.median(rates),
             "min": min(rates), "max": max(rates), "samples": rates},
            target_result("empty_job_to_empty_request",
                          [job / control for job, control in zip(times["npu-job"], times["npu-control"])])]


def instruction_results(found):
    """Of a machine whose nanoseconds are instructions. The device is a process of its own, which knows nothing of that
    clock: while the guest waits, the clock may jump to the guest's next timer. The least of the samples is one in which
    the answer came first, so that nothing but what the guest executed is in it."""
    least = {name: min(run["min_ns"] / run["operations"] for run in runs) for name, runs in found.items()}
    results = [{"name": f"npu_guest_{name}_instructions", "unit": "guest instructions, the least of all samples",
                "value": value, "resolution": 1} for name, value in least.items()]
    return [*results, target_result("empty_job_to_empty_request_instructions", [least["npu-job"] / least["npu-control"]])]


def measure(machine, quick):
    """In time. `machine` is one with an NPU that runs, and whose counter ticks each nanosecond."""
    return time_results(runs_of(machine, ROUNDS_QUICK if quick else ROUNDS))


def measure_instructions(machine, quick):
    """`machine` as for measure(), with -icount shift=0."""
    return instruction_results(runs_of(machine, 1 if quick else ROUNDS_OF_INSTRUCTIONS))
