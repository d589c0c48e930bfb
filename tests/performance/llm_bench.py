"""A language model in an emulated guest, on the NPU and on its CPU, beside a plain engine on the host: times and what is
made of them. docs/llm-bench.md explains the rows.

A round measures each model on the host and on the NPU, one after the other, so that what else the host does meets both.
A sample is a token. A figure is the median of the samples; ratios and targets are of the best ones, which is what the
machine does when nothing else runs.
"""

import json
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "models"))
import gguf  # noqa: E402
import random_llm  # noqa: E402

PLAIN = ROOT / "build/host-release/tests/performance/llm/llm_plain"
PLAIN_FLAGS = "-O3 -march=native -ffast-math"  # of llm/CMakeLists.txt
IMAGE = ROOT / "build/guest/llm_bench.Image"
MODELS = ROOT / "build/bench/models"

ROUNDS, ROUNDS_QUICK = 5, 1
PROMPT, TOKENS = 64, 32  # the image's, on the NPU
PLAIN_SAMPLES, PLAIN_SAMPLES_LARGE = 6, 2
KINDS = (gguf.Type.F32, gguf.Type.Q8_0)
NPU_TO_PLAIN, NPU_TO_CPU = 0.8, 30
# Tokens a second to aim at, on a core with AVX-512 VNNI.
PEAKS = {("middle", "q8_0"): 1200, ("large", "q8_0"): 93, ("middle", "f32"): 400}
# The smallest shape is bound by round trips.
WITHOUT_TARGET = ("small",)


def scenario(model, npu, icount=False):
    """Archive, weights and what the tokens need are in memory together."""
    memory = 512 + 3 * (model.stat().st_size >> 26 << 6)
    cpu = "cortex-a72,cntfrq=1000000000"
    return (f"apiVersion: sis/v1\nname: bench\n"
            f"machine: {{cpu: '{cpu}', cpus: 1, memory: {memory}MiB{', icount_shift: 0' if icount else ''}}}\n"
            f"npu: {npu}\nboot: {{kernel: {IMAGE}}}\ntimeouts: {{boot: 20m, run: 20m}}\n"
            f"llm: {{allow_unsigned: true, models: [{{file: {model}}}]}}\n")


def fields(text):
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)}


def parse(console):
    """What the image found: {job, samples, instructions}."""
    lines = re.findall(r"BENCH (\w+) ?(.*?)\s*$", console, re.MULTILINE)
    found = {"samples": [], "job": None, "instructions": None, "npu": None}
    for what, rest in lines:
        numbers = [int(word) for word in rest.split() if word.isdigit()]
        if what == "sample":
            found["samples"].append(fields(rest))
        elif what in ("tokens_ns", "said"):
            found["samples"][-1][what] = numbers
        else:
            found[what] = fields(rest)
            found["npu"] = re.search(r"npu=(\w+)", rest)[1] if "npu=" in rest else found["npu"]
    if "SIS-EXIT kind=shutdown code=0" not in console or not (found["samples"] or found["instructions"]):
        raise RuntimeError(f"the guest did not measure the model: {console[-1500:]}")
    return found


class Subject:
    """A model, and all that was found of it."""

    def __init__(self, shape, kind):
        self.shape, self.kind = shape, kind.name.lower()
        self.path = random_llm.write(MODELS, shape, kind)
        self.plain, self.npu, self.cpu = [], [], []  # samples
        self.read_ns, self.jobs, self.instructions, self.weight_bytes = [], [], None, 0

    def take_plain(self):
        samples = PLAIN_SAMPLES_LARGE if self.shape == "large" else PLAIN_SAMPLES
        done = subprocess.run([PLAIN, self.path, *map(str, (PROMPT, TOKENS, samples))], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise RuntimeError(f"llm_plain exited with {done.returncode}: {done.stderr.strip()[-2000:]}")
        found = json.loads(done.stdout)
        self.weight_bytes = found["weight_bytes"]
        self.read_ns += found["read_ns"]
        self.plain += [{"first_ns": each["first_token_ns"], "tokens_ns": each["token_ns"], "said": each["tokens"]}
                       for each in found["samples"]]

    def take_guest(self, run, npu, icount=False):
        """`run` runs a scenario to its end, and returns the console."""
        found = parse(run(scenario(self.path, "on" if npu else "off", icount)))
        if icount:
            self.instructions = found["instructions"]
            return
        if found["npu"] != ("device" if npu else "cpu"):
            raise RuntimeError(f"the guest's jobs were run by {found['npu']}")
        if npu:
            self.npu += found["samples"]
            self.jobs.append(found["job"])
        else:
            self.cpu += found["samples"]


def tokens_of(samples):
    return [time for sample in samples for time in sample["tokens_ns"]]


def rate_result(name, times_ns, told, **more):
    rates = sorted(1e9 / time for time in times_ns)
    return {"name": name, "unit": f"tokens/s; {told}", "value": statistics.median(rates), "min": rates[0],
            "max": rates[-1], "samples": [round(rate, 3) for rate in rates], **more}


def target_result(name, value, unit, least):
    verdict = "met" if value >= least else "not met"
    return {"name": name, "unit": unit, "value": value, "target": f"at least {least}: {verdict}"}


def shares(samples):
    """Of a token's time: commands; what a job takes besides, from its submission to its end; the rest, the guest's. In the
    sample that took least."""
    best = min(samples, key=lambda each: each["ns"])
    parts = {"commands": best["ran_ns"], "job": best["waited_ns"] - best["ran_ns"], "guest": best["ns"] - best["waited_ns"]}
    return {name: part / best["ns"] for name, part in parts.items()}, best["ns"] / len(best["tokens_ns"])


def alike(a, b):
    """Tokens until the first one that differs."""
    return next((i for i, (one, other) in enumerate(zip(a, b)) if one != other), min(len(a), len(b)))


def first_result(name, samples):
    times = [sample["first_ns"] / 1e6 for sample in samples]
    return {"name": f"{name}_first_token", "unit": f"ms; prompt of {PROMPT} tokens", "value": statistics.median(times),
            "min": min(times), "max": max(times), "samples": times}


def target_results(subject, name, best):
    results = []
    if subject.shape not in WITHOUT_TARGET:
        results.append(target_result(f"llm_target_{name}_npu_to_plain", best["npu"] / best["plain"],
                                     "ratio of the best tokens", NPU_TO_PLAIN))
    if subject.cpu:
        results.append(target_result(f"llm_target_{name}_npu_to_cpu", best["npu"] / best["cpu"],
                                     "ratio of the best tokens", NPU_TO_CPU)
                       if subject.shape not in WITHOUT_TARGET else
                       {"name": f"llm_{name}_npu_to_cpu", "unit": "ratio of the best tokens; bound by round trips",
                        "value": best["npu"] / best["cpu"]})
    if (subject.shape, subject.kind) in PEAKS:
        results.append(target_result(f"llm_target_{name}_peak", best["npu"], "tokens/s, the best token",
                                     PEAKS[subject.shape, subject.kind]))
    return results


def results_of(subject):
    name = f"{subject.shape}_{subject.kind}"
    rows = {"plain": (subject.plain, f"plain engine, one thread, {PLAIN_FLAGS}"),
            "npu": (subject.npu, "guest under TCG, NPU"), "cpu": (subject.cpu, "guest under TCG, its CPU")}
    results = [rate_result(f"llm_{name}_{where}", tokens_of(samples), told)
               for where, (samples, told) in rows.items() if samples]
    if subject.read_ns:
        results.append(rate_result(f"llm_{name}_read", subject.read_ns,
                                   f"reading {subject.weight_bytes / 1e6:.1f} MB, as many as the weights have, "
                                   f"{subject.weight_bytes / min(subject.read_ns):.1f} GB/s at best"))
    results += [first_result(f"llm_{name}_{where}", rows[where][0]) for where in ("plain", "npu")]
    parts, each_ns = shares(subject.npu)
    results += [{"name": f"llm_{name}_share_{part}", "unit": f"of the {each_ns / 1e3:.0f} us of a token",
                 "value": share} for part, share in parts.items()]
    said = subject.npu[0]["said"]
    results.append({"name": f"llm_{name}_tokens_alike", "unit": f"of {len(said)}, until NPU and plain engine differ",
                    "value": alike(said, subject.plain[0]["said"])})
    best = {where: 1e9 / min(tokens_of(samples)) for where, (samples, _) in rows.items() if samples}
    return results + target_results(subject, name, best)


def job_result(jobs):
    """Of a job without commands, from its submission to its result."""
    medians = [job["median_ns"] / 1e3 for job in jobs]
    return {"name": "llm_job_round_trip", "unit": "us; of the medians of 301 jobs without commands each",
            "value": statistics.median(medians), "min": min(job["best_ns"] for job in jobs) / 1e3, "max": max(medians),
            "samples": medians}


def instruction_results(subjects):
    results = []
    for subject in subjects:
        if subject.instructions:
            for what, told in (("token", "a token"), ("first", f"a prompt of {PROMPT} tokens, in one step")):
                results.append({"name": f"llm_{subject.shape}_{what}_instructions", "value": subject.instructions[what],
                                "unit": f"guest instructions of {told}, the least of some", "resolution": 1})
    return results


def measure(run, quick):
    """`run` runs a scenario, given as text, to its end, and returns what its console has."""
    subjects = [Subject(shape, kind) for shape in random_llm.SHAPES for kind in KINDS]
    for _ in range(ROUNDS_QUICK if quick else ROUNDS):
        for subject in subjects:
            subject.take_plain()
            subject.take_guest(run, npu=True)
    for subject in subjects:
        # Minutes, of the largest ones.
        if not quick or subject.shape != "large":
            subject.take_guest(run, npu=False)
        if subject.kind == "q8_0":
            subject.take_guest(run, npu=True, icount=True)
    jobs = [job for subject in subjects for job in subject.jobs]
    return [*(result for subject in subjects for result in results_of(subject)), job_result(jobs),
            *instruction_results(subjects)]
