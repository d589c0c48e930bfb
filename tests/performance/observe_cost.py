"""What it costs to record a run: instructions of configs/vision-pipeline.yaml's graph and all that works beside it, with
trace and metrics on against off (docs/observation.md, Recording a run).

The machine works on its own and counts instructions, so that one run of each says it all. Its task `hog` wants the CPU
all the time and so gets what the others leave: what they took is the rest of the time."""

import pathlib
import re

SCENARIO = pathlib.Path(__file__).resolve().parents[2] / "configs/vision-pipeline.yaml"
MOST_PERCENT = 5
IMAGES = 48
HOG = re.compile(r"^  id=\d+  name=hog  .*  ran_ns=(\d+)$", re.MULTILINE)
UPTIME = re.compile(r"^uptime_ns: (\d+)$", re.MULTILINE)


def scenario(observe):
    """The scenario with lines of its own instead of steps."""
    text, _, _ = SCENARIO.read_text().partition("\nsteps:\n")
    lines = ["ps", "uptime", f"graph start vision {IMAGES}", "graph wait vision", "ps", "uptime"]
    return (text + "\n" + (f"observe: {observe}\n" if observe else "") + "autorun: [" + ", ".join(lines) + "]\n" +
            "steps:\n  - {op: ping}\ntimeouts: {boot: 2m}\n")


def taken_ns(console):
    """What all but the hog took while the graph ran."""
    if "\nend: finished\n" not in console:
        raise RuntimeError(f"the graph has not finished: {console[-1500:]}")
    (hog_before, hog_after), (before, after) = ([int(ns) for ns in each.findall(console)] for each in (HOG, UPTIME))
    return after - before - (hog_after - hog_before)


def measure(console_of):
    """`console_of` runs a scenario that is given as text, and returns what its console showed."""
    shift = int(re.search(r"icount_shift: (\d+)", SCENARIO.read_text()).group(1))
    kinds = {"off": "", "trace": "{metrics: off}", "metrics": "{trace: off}", "on": "{}"}
    taken = {kind: taken_ns(console_of(scenario(observe))) >> shift for kind, observe in kinds.items()}
    results = [{"name": f"observe_{kind}", "unit": "guest instructions", "value": value, "resolution": 2}
               for kind, value in taken.items()]
    for kind in ("trace", "metrics", "on"):
        percent = 100 * (taken[kind] - taken["off"]) / taken["off"]
        result = {"name": f"observe_cost_{kind}", "unit": "percent more than off", "value": percent}
        if kind == "on":
            result["target"] = f"at most {MOST_PERCENT}: {'met' if percent <= MOST_PERCENT else 'not met'}"
        results.append(result)
    return results
