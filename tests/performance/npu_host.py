"""The NPU's commands on this host, beside what the machine can do: runs npu_bench (tests/performance/npu) and makes
results of what it finds. docs/npu-bench.md explains them.

Samples of everything are taken in turn. A figure is the median of its samples; rates, ratios and costs are of the best
one, which is what the machine does when nothing else runs.
"""

import json
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/host-release/tests/performance/npu/npu_bench"
SAMPLES, SAMPLES_QUICK = 41, 5
# Of a sample, seconds: some 50,000 steps of a clock that counts in tens of ns. Short, so that on a busy machine some of
# the samples are not interrupted.
SAMPLE_S = 0.001
# A kernel that is so many times as fast as what the machine can do: the machine was busy meanwhile.
SUSPICIOUS = 1.1
RIVALS = ("plain", "eigen")
RIVAL_FLAGS = "-O3 -march=native -ffast-math"  # of npu/CMakeLists.txt

# (name, case, what is compared, with what, threads, at least). A read is of as many bytes as the weights have.
RATIO_TARGETS = [(f"{case}_to_read_{threads}", case, "bytes", f"read_{weights}_large/{threads}", threads, 0.9)
                 for weights in ("f32", "q8_0") for case in (f"gemm_{weights}_vector_large",) for threads in (1, 2)]
RATIO_TARGETS.append(("gemm_i8_matrix_to_peak", "gemm_i8_matrix", "operations", "peak_i8/1", 1, 0.5))
# (case, GB/s of one thread)
RATE_TARGETS = [("gemm_q8_0_vector_small", 80), ("gemm_f32_vector_small", 120)]
COST_FACTOR = 2
# As the names of cases begin.
COMMANDS = ("nop", "gemm", "rms_norm", "layer_norm", "softmax", "rope", "attention", "swiglu", "silu", "gelu", "relu", "add",
            "mul", "scale", "embed_rows", "arg_max", "top_k", "conv2d", "depthwise_conv2d", "max_pool", "avg_pool", "copy")


class Row:
    """A benchmark: its samples, and what a run of it moves and computes."""

    def __init__(self, name):
        self.case, self.kernels, self.threads = name.split("/")
        self.samples_ns, self.label, self.figures = [], "", {}

    def add(self, found):
        self.samples_ns.append(found["real_time"])
        self.label = found.get("label", "")
        self.figures = {key: found[key] for key in ("bytes", "operations", "cycles") if key in found}

    def best_ns(self):
        return min(self.samples_ns)

    def rate(self, what):
        """In giga a second, at best: `what` is bytes or operations."""
        return self.figures[what] / self.best_ns()


def rows_of(report):
    """Rows by their names, of what the program wrote."""
    rows = {}
    # They come in the order in which they happened to be finished.
    for found in sorted(report["benchmarks"], key=lambda each: each["family_index"]):
        name = found["name"].removesuffix("/manual_time")
        if found.get("error_occurred"):
            raise RuntimeError(f"{name}: {found['error_message']}")
        if found["run_type"] == "iteration":
            rows.setdefault(name, Row(name)).add(found)
    return rows


def machine_results(rows):
    results = []
    for row in rows.values():
        if row.case == "machine":
            what, unit = ("bytes", "GB/s") if "bytes" in row.figures else ("operations", "Gop/s")
            rates = [row.figures[what] / sample for sample in row.samples_ns]
            size = f" of {row.figures['bytes'] / 1e6:,.3f} MB" if what == "bytes" else ""
            results.append({"name": f"npu_{row.kernels}_{row.threads}", "unit": f"{unit}{size}: {row.label}",
                            "value": statistics.median(rates), "min": min(rates), "max": max(rates),
                            "samples": rates, "threads": int(row.threads)})
    return results


def command_results(rows):
    results = []
    for row in rows.values():
        if row.case == "machine":
            continue
        plain = rows.get(f"{row.case}/plain/1")
        rates = {"gb_per_s": row.rate("bytes"), "gop_per_s": row.rate("operations")}
        if plain is not None and plain is not row:
            rates["times_as_fast_as_plain"] = plain.best_ns() / row.best_ns()
        told = (f"us; {row.label or 'no tensors'}; best: {rates['gb_per_s']:.4g} GB/s, {rates['gop_per_s']:.4g} Gop/s"
                + (f", {rates['times_as_fast_as_plain']:.3g} x plain" if "times_as_fast_as_plain" in rates else ""))
        if row.kernels in RIVALS:
            told += f"; {RIVAL_FLAGS}"
        samples = [sample / 1e3 for sample in row.samples_ns]
        results.append({"name": f"npu_{row.case}_{row.kernels}_{row.threads}", "unit": told, "shape": row.label,
                        "kernels": row.kernels, "threads": int(row.threads), "value": statistics.median(samples),
                        "min": min(samples), "max": max(samples), "samples": samples, **row.figures, **rates})
    return results


def device_kernels(rows):
    """Those that the device has, the fastest set."""
    sets = {row.kernels for row in rows.values() if row.case == "nop"}
    return next(iter(sets - {"scalar"}), "scalar")


def target_result(name, value, unit, least, most=None):
    verdict = "met" if value >= least else "not met"
    if most is not None and value > most:
        verdict = "unsure, the machine was busy"
    return {"name": f"npu_target_{name}", "unit": unit, "value": value, "target": f"at least {least}: {verdict}"}


def target_results(rows, kernels):
    results = []
    for name, case, what, yardstick, threads, least in RATIO_TARGETS:
        if f"machine/{yardstick}" in rows:
            value = rows[f"{case}/{kernels}/{threads}"].rate(what) / rows[f"machine/{yardstick}"].rate(what)
            results.append(target_result(name, value, f"of {yardstick}, {kernels}", least, SUSPICIOUS))
    for case, least in RATE_TARGETS:
        results.append(target_result(case, rows[f"{case}/{kernels}/1"].rate("bytes"),
                                     f"GB/s on one thread, {kernels}", least))
    return results


def cost_result(name, cost, middle, kernels):
    outside = not 1 / COST_FACTOR <= cost / middle <= COST_FACTOR
    return {"name": f"npu_cost_{name}", "value": cost, "of_median": cost / middle, "outside": outside,
            "unit": f"ns a modelled cycle, {kernels}; {cost / middle:.2f} of the median"
                    + (f", OUTSIDE of a factor of {COST_FACTOR}" if outside else "")}


def cost_results(rows, kernels):
    """Measured nanoseconds of a modelled cycle on one thread, and how far that is from the median of the commands. A
    command's is the geometric mean of its cases."""
    cases = {row.case: row.best_ns() / row.figures["cycles"]
             for row in rows.values() if row.kernels == kernels and row.threads == "1" and row.case != "machine"}
    commands = {command: statistics.geometric_mean(cost for case, cost in cases.items() if case.startswith(command))
                for command in COMMANDS}
    middle = statistics.median(commands.values())
    results = [{"name": "npu_cost_median", "unit": f"ns a modelled cycle, {kernels}", "value": middle},
               *(cost_result(f"case_{name}", cost, middle, kernels) for name, cost in cases.items()),
               *(cost_result(name, cost, middle, kernels) for name, cost in commands.items())]
    for what, costs in (("cases", cases), ("commands", commands)):
        outside = sum(not 1 / COST_FACTOR <= cost / middle <= COST_FACTOR for cost in costs.values())
        results.append({"name": f"npu_cost_{what}_outside", "value": outside,
                        "unit": f"of {len(costs)} {what}, outside of a factor of {COST_FACTOR} of the median"})
    return results


def results_of(report):
    """All results; `report` is the program's, parsed."""
    rows = rows_of(report)
    kernels = device_kernels(rows)
    resolution = int(report["context"]["clock_resolution_ns"])
    return [{"name": "npu_clock_resolution", "unit": "ns", "value": resolution},
            *machine_results(rows), *command_results(rows), *target_results(rows, kernels),
            *cost_results(rows, kernels)]


def measure(folder, quick):
    output = folder / "npu.json"
    samples = SAMPLES_QUICK if quick else SAMPLES
    done = subprocess.run([PROGRAM, f"--benchmark_repetitions={samples}", f"--benchmark_min_time={SAMPLE_S}",
                           "--benchmark_enable_random_interleaving=true", f"--benchmark_out={output}",
                           "--benchmark_out_format=json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=1200)
    if done.returncode != 0:
        raise RuntimeError(f"npu_bench exited with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return results_of(json.loads(output.read_text()))
