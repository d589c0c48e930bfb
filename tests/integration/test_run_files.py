"""metrics.json and trace.json of runs with a graph, a language model and the NPU: one picture, the guest's own figures, the same
of two runs, and what their formats demand."""

import bisect
import collections
import concurrent.futures
import json
import math
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

try:
    import jsonschema
except ImportError:  # where Python is all that there is, as in the nested host of tests/kvm
    jsonschema = None

import gguf_models
import harness
import protocol

sys.path.insert(0, str(harness.ROOT / "tests" / "report"))
import chromium  # noqa: E402

COUNTED = "accel: tcg, cpu: cortex-a72, icount_shift: 3, " if harness.BACKEND == "qemu" else ""
MACHINE = "machine: {" + COUNTED + "cpus: 2, memory: 256MiB}\ntimeouts: {stop: 60s}\n"
GRAPH = """llm: {allow_unsigned: true, models: [{file: m.gguf}]}
scheduler:
  servers: [{name: sensor, budget: 10ms, period: 100ms}]
tasks: [{name: sensor, server: sensor, periodic: {period: 100ms, work: 5ms}}]
graphs:
  - name: demo
    server: {budget: 2ms, period: 10ms}
    start: manual
    channels: [{id: 1, capacity: 2}, {id: 2, capacity: 2, policy: drop-oldest}]
    operators:
      - {id: 1, name: from, kind: image-source, stage: acquire, out: [1], parameters: {width: 16, period_us: 500}}
      - {id: 2, name: edges, kind: threshold, stage: clean, cpu: 1, in: [1], out: [2], parameters: {level: 128}}
      - {id: 3, name: to, kind: sink, stage: explain, in: [2]}
"""
# While the NPU computes, on the host's time, the guest's leaps: what it records is much, and none may be lost.
WITH_NPU = """apiVersion: sis/v1
observe: {trace: {events: 262144, what: [scheduler, graphs, npu, llm, control]}}
npu: on
""" + MACHINE + GRAPH
# The smallest ring: what this makes is more, and nobody reads it before the last line.
BY_ITSELF = "apiVersion: sis/v1\nobserve: {metrics: 10ms, trace: {events: 4096}}\n" + MACHINE + GRAPH + """autorun:
  - graph start demo 300
  - graph wait demo
  - llminfer m tell --max_tokens 12
steps:
  - {op: ping}
"""
STEPS = 120
REQUESTS = 6
TOKENS = 20
LANES = {"guest: CPUs", "CPU 0", "CPU 1", "demo.from", "demo.edges", "demo.to", "guest: jobs of the NPU",
         "guest: requests to models", "guest: control requests", "host"}
#: Of a bucket, guest/kernel/histogram.hpp.
ERROR = 0.125
PERCENTILES = {"p50": (50, 2), "p95": (95, 20), "p99": (99, 100)}
#: The trace's records are made some thousand instructions beside the readings of the clock that the histograms count.
BESIDE_NS = 100_000
FILES = ("metrics", "trace")


def nearest_rank(samples, percent):
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]


def nanoseconds(event, key="ts"):
    return round(event[key] * 1000)


class Files:
    """The files of a run that has ended."""

    def __init__(self, run_dir):
        self.run_dir = run_dir
        self.texts = {name: (run_dir / f"{name}.json").read_text() for name in FILES}
        self.metrics, self.trace = (json.loads(self.texts[name]) for name in FILES)
        self.events = [event for event in self.trace["traceEvents"] if event["ph"] != "M"]

    def of(self, phase, category, name=None):
        return [event for event in self.events
                if (event["ph"], event["cat"]) == (phase, category) and name in (None, event["name"])]

    def overlapping(self, category, name):
        """(begin, end) of each, by its id."""
        begins, ends = ({event["id"]: event for event in self.of(phase, category, name)} for phase in "be")
        return {number: (begin, ends[number]) for number, begin in begins.items()}


class Checks(unittest.TestCase):
    """What holds for the files of every run."""

    def check_schemas(self, files):
        """Of the trace's events, of which there are many, the earliest of each kind."""
        of_kinds = {}
        for event in sorted(files.trace["traceEvents"], key=lambda event: event.get("ts", 0)):
            kind = tuple((key, value if key in ("ph", "pid", "cat") else type(value)) for key, value in event.items())
            of_kinds.setdefault(kind, event)
        self.assertGreater(len(of_kinds), 8)
        if jsonschema is None:
            return
        for name, value in ("metrics", files.metrics), ("trace", {**files.trace, "traceEvents": list(of_kinds.values())}):
            schema = jsonschema.Draft7Validator(json.loads((harness.ROOT / f"configs/{name}.schema.json").read_text()))
            errors = [f"{error.json_path}: {error.message}" for error in schema.iter_errors(value)]
            self.assertEqual(errors[:5], [])

    def check_trace_format(self, files):
        """What Perfetto's importer of the Chrome format goes by: https://perfetto.dev/docs/, "Other trace formats"."""
        for event in files.trace["traceEvents"]:
            self.assertIs(type(event["pid"]), int, event)
            self.assertIs(type(event.get("tid", 0)), int, event)
        named = {(event["name"], event["pid"], event.get("tid")) for event in files.trace["traceEvents"] if event["ph"] == "M"}
        for event in files.events:
            self.assertIn(("process_name", event["pid"], None), named)
            if event["ph"] in "Xi":
                self.assertIn(("thread_name", event["pid"], event["tid"]), named, event)
        self.check_slices(files)
        self.check_overlapping(files)

    def check_slices(self, files):
        """Those of a track are in one another, or beside one another."""
        tracks = collections.defaultdict(list)
        for event in files.events:
            if event["ph"] == "X":
                begin = nanoseconds(event)
                tracks[event["pid"], event["tid"]].append((begin, -nanoseconds(event, "dur"), event))
        for slices in tracks.values():
            open_until = []
            for begin, minus_duration, event in sorted(slices, key=lambda each: each[:2]):
                while open_until and open_until[-1] <= begin:
                    open_until.pop()
                if open_until:
                    self.assertLessEqual(begin - minus_duration, open_until[-1], event)
                open_until.append(begin - minus_duration)

    def check_overlapping(self, files):
        """What begins ends, once and later, and what is said of it lies between."""
        kinds = collections.defaultdict(list)
        for event in files.events:
            if event["ph"] in "bne":
                kinds[event["cat"], event["id"]].append(event)
        self.assertGreater(len(kinds), 0)
        for (_, number), events in kinds.items():
            names = {event["name"] for event in events if event["ph"] == "b"}
            for name in names:
                begins, ends = ([nanoseconds(event) for event in events if (event["ph"], event["name"]) == (phase, name)]
                                for phase in "be")
                self.assertEqual((len(begins), len(ends)), (1, 1), (number, name))
                self.assertLessEqual(begins[0], ends[0], (number, name))
            self.assertEqual({event["name"] for event in events if event["ph"] == "e"}, names)

    def check_flows(self, files):
        """Each has one start and one end, in order. Returns its points by its id."""
        flows = collections.defaultdict(list)
        for event in sorted(files.of("s", "flow") + files.of("t", "flow") + files.of("f", "flow"), key=nanoseconds):
            flows[event["id"]].append(event)
        for number, points in flows.items():
            phases = "".join(point["ph"] for point in points)
            self.assertRegex(phases, "^st*f$", number)
        return flows

    def check_picture(self, files):
        """What the file says twice is the same."""
        final, histograms = files.metrics["final"], files.metrics["histograms"]
        self.assertGreater(len(histograms), 5)
        for name, histogram in histograms.items():
            self.assertEqual(histogram["count"], sum(count for _, _, count in histogram["buckets"]), name)
            self.assertEqual((final[f"{name}_total_ns"], final[f"{name}_max_ns"]), (histogram["total"], histogram["max"]))
            for part, (_, needed) in PERCENTILES.items():
                self.assertEqual(part in histogram, histogram["count"] >= needed, name)
                self.assertEqual(final.get(f"{name}_{part}_ns"), histogram.get(part), name)
        history = files.metrics["history"]
        self.assertEqual(history["times_ns"], sorted(set(history["times_ns"])))
        self.assertEqual((history["frozen"], files.metrics["final_from"]), (True, "history"))
        of_times = {f"{name}_{part}_ns" for name in histograms for part in ("total", "max")}
        for name, values in history["series"].items():
            if name not in of_times and values[-1] is not None:
                self.assertEqual(final[name], values[-1], name)
        for name in histograms:
            if name.startswith("op_"):
                self.assertEqual(histograms[name]["count"], final[f"{name}_runs"])


class WithEverything(Checks):
    calls = 1

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="sis-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        gguf_models.put(cls.folder / "m.gguf", False)
        cls.machine = harness.Machine(cls.folder, WITH_NPU, arguments=["--timeout", "100"])
        cls.addClassCleanup(cls.machine.destroy)
        cls.machine.wait_ready()
        with cls.machine.session() as connection:
            cls.connection = connection
            cls.ask("graph start", graph="demo", steps=STEPS)
            cls.ask("graph wait", graph="demo")
            cls.requests = [cls.ask("llminfer", model="m", prompt="tell", max_tokens=TOKENS) for _ in range(REQUESTS)]
            cls.metrics = cls.pages("metrics")
            cls.histograms = cls.pages("histograms")
        cls.machine.stop()
        cls.files = Files(cls.machine.run_dir)

    @classmethod
    def ask(cls, op, **arguments):
        cls.calls += 1  # each its own, as they have in the trace
        command, _, body = cls.connection.call(cls.calls, op, arguments)
        assert command == protocol.REPLY, body
        return body["result"]

    @classmethod
    def pages(cls, op):
        found, left_off = {}, 1
        while left_off:
            answer = cls.ask(op, skip=len(found))
            found.update(answer[op])
            left_off = answer["left_off"]
        return found

    def test_files_are_as_their_formats_demand(self):
        self.assertTrue(self.files.metrics["host"]["collector"]["complete"], self.machine.output())
        self.check_schemas(self.files)
        self.check_trace_format(self.files)
        self.check_picture(self.files)

    def test_counts_are_those_of_the_guest(self):
        final = self.files.metrics["final"]
        for name, value in self.metrics.items():
            if re.match("op_demo_|ch_demo_|llm_(?!milli|infer_us|period)|npu_job", name):  # these rest, the machine goes on
                self.assertEqual(final[name], value, name)
        self.assertEqual(final["op_demo_from_runs"], STEPS)
        self.assertEqual((final["llm_finished"], final["llm_tokens_out"]), (REQUESTS, REQUESTS * TOKENS))
        self.assertGreaterEqual(final["npu_jobs_ok"], REQUESTS * TOKENS)
        for name, histogram in self.histograms.items():
            if name.startswith(("op_demo_", "llm_", "npu_")):
                ours = self.files.metrics["histograms"][name]
                self.assertEqual({key: ours[key] for key in histogram}, histogram, name)

    def check_percentiles(self, name, samples):
        histogram = self.files.metrics["histograms"][name]
        self.assertEqual(histogram["count"], len(samples), name)
        for part, (percent, needed) in PERCENTILES.items():
            self.assertEqual(part in histogram, len(samples) >= needed, name)
            if part in histogram:
                exact = nearest_rank(samples, percent)
                self.assertGreaterEqual(histogram[part], exact - BESIDE_NS, (name, part))
                self.assertLessEqual(histogram[part], exact * (1 + ERROR) + BESIDE_NS, (name, part))
        self.assertLess(abs(histogram["max"] - max(samples)), BESIDE_NS, name)

    @unittest.skipUnless(COUNTED, "elsewhere the host's time lies between the readings of the clock")
    def test_percentiles_are_those_of_the_samples_in_the_trace(self):
        self.assertEqual(sum(self.files.trace["otherData"]["guest"]["lost_by_cpu"]), 0)
        jobs = collections.defaultdict(list)
        for begin, end in self.files.overlapping("npu", "job").values():
            jobs[begin["args"]["priority"]].append(nanoseconds(end) - nanoseconds(begin))
        latencies = {name: histogram for name, histogram in self.files.metrics["histograms"].items()
                     if name.startswith("npu_latency_") and histogram["count"]}
        self.assertEqual(sorted(len(each) for each in jobs.values()), sorted(each["count"] for each in latencies.values()))
        for name, histogram in latencies.items():
            self.check_percentiles(name, next(each for each in jobs.values() if len(each) == histogram["count"]))
        requests = [nanoseconds(end) - nanoseconds(begin) for begin, end in self.files.overlapping("llm", "request").values()]
        self.check_percentiles("llm_infer", requests)
        self.assertNotIn("p95", self.files.metrics["histograms"]["llm_infer"])

    def test_flows_lead_from_a_control_request_through_the_model_to_its_jobs(self):
        flows = self.check_flows(self.files)
        requests = self.files.overlapping("llm", "request")
        calls = {f'0x{int(number, 16):x}': pair for number, pair in self.files.overlapping("control", "llminfer").items()}
        jobs = {int(number, 16): pair for number, pair in self.files.overlapping("npu", "job").items()}
        self.assertEqual((len(requests), set(flows)), (REQUESTS, set(requests)))
        steps = collections.defaultdict(list)
        for event in self.files.of("n", "llm", "step"):
            steps[event["id"]].append(event)
        for number, (begin, end) in requests.items():
            points = [(point["ph"], nanoseconds(point)) for point in flows[number]]
            call_begin, call_end = calls[begin["args"]["call"]]
            of_jobs = sorted(nanoseconds(jobs[step["args"]["job"]][0]) for step in steps[number])
            self.assertGreaterEqual(len(of_jobs), TOKENS)
            self.assertEqual(points, [("s", nanoseconds(call_begin)), ("t", nanoseconds(begin)),
                                      *(("t", time) for time in of_jobs), ("f", nanoseconds(end))])
            self.assertLessEqual(nanoseconds(end), nanoseconds(call_end))
        self.check_flows_are_in_slices(flows)

    def check_flows_are_in_slices(self, flows):
        """Each point is in a slice of its track: without one Perfetto leaves it out."""
        threads = collections.defaultdict(list)
        for event in self.files.of("X", "scheduler"):
            threads[event["pid"], event["tid"]].append((nanoseconds(event), nanoseconds(event) + nanoseconds(event, "dur")))
        for slices in threads.values():
            slices.sort()
        for points in flows.values():
            for point in points:
                slices, time = threads[point["pid"], point["tid"]], nanoseconds(point)
                _, end = slices[bisect.bisect_right(slices, (time, math.inf)) - 1]
                self.assertLessEqual(time, end, point)

    def report_data(self):
        page = (self.machine.run_dir / "report.html").read_text()
        return json.loads(page.partition('id="data">')[2].partition("</script>")[0])["runs"][0]

    def test_the_report_is_made_of_them(self):
        data = self.report_data()
        self.assertEqual(data["metrics"], self.files.metrics)
        names = {event["args"]["name"] for event in data["trace"]["traceEvents"] if event["ph"] == "M"}
        self.assertLessEqual(LANES, names)

    @unittest.skipUnless(chromium.PROGRAM, "there is no Chromium")
    def test_the_report_shows_them(self):
        browser = chromium.Chromium()
        self.addCleanup(browser.close)
        browser.open((self.machine.run_dir / "report.html").as_uri())
        self.assertEqual(browser.complaints, [])
        found = browser.evaluate("""((trace) => {
            const lanes = new Lanes(trace.traceEvents, trace.left_out > 0);
            const groups = [...lanes.groups.values()];
            return {names: groups.flatMap((group) => [group.name, ...[...group.lanes.values()].map((lane) => lane.name)]),
                    flows: [...lanes.flows.values()].map((points) => points.length),
                    plots: [...document.querySelectorAll('.plotted:not([hidden])')].map((each) => each.dataset.plot),
                    histograms: [...document.querySelectorAll('#histograms figure')].length};
        })(""" + json.dumps(self.report_data()["trace"]) + ")")
        self.assertLessEqual(LANES, set(found["names"]))
        self.assertGreater(max(found["flows"]), TOKENS)
        self.assertEqual(found["plots"], ["budgets", "depths", "npu", "tokens"])
        self.assertEqual(found["histograms"], sum(1 for each in self.files.metrics["histograms"].values() if each["count"]))


@harness.about_qemu
class ByItself(Checks):
    """Two runs that nothing reaches from outside."""

    @classmethod
    def run_once(cls, number):
        # A registry of its own, so that both have one name.
        folder = cls.folder / str(number)
        folder.mkdir()
        gguf_models.put(folder / "m.gguf", False)
        (folder / "s.yaml").write_text(BY_ITSELF)
        environment = harness.environment(XDG_RUNTIME_DIR=str(folder))
        done = harness.run(harness.SISVMM, "run", folder / "s.yaml", "--backend", harness.BACKEND, "--run-dir", folder / "run",
                           "--name", "same", env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return Files(folder / "run")

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="sis-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            cls.first, cls.second = pool.map(cls.run_once, (1, 2))

    def guests_part(self, files):
        """The texts, without what the schemas mark as the host's."""
        metrics, _, host = files.texts["metrics"].rpartition(',\n"host":')
        self.assertTrue(host)
        trace = [line for line in files.texts["trace"].splitlines() if '"pid":100' not in line]
        trace[-1], _, host = trace[-1].rpartition(',"host":')
        self.assertTrue(host)
        return metrics, "\n".join(line.rstrip(",") for line in trace)

    def test_two_runs_leave_the_same_files(self):
        first, second = self.guests_part(self.first), self.guests_part(self.second)
        self.assertEqual(first[0], second[0])
        self.assertEqual(first[1], second[1])

    def test_files_are_as_their_formats_demand(self):
        self.assertTrue(self.first.metrics["host"]["collector"]["complete"])
        self.check_schemas(self.first)
        self.check_trace_format(self.first)
        self.check_picture(self.first)
        self.check_flows(self.first)

    def test_what_was_overwritten_is_counted_and_shown(self):
        guest = self.first.trace["otherData"]["guest"]
        self.assertGreater(guest["lost_by_cpu"][0], 0)
        marks = collections.Counter()
        for event in self.first.of("i", "trace", "lost"):
            marks[event["tid"]] += event["args"]["events"]
        self.assertEqual([marks[cpu] for cpu in range(len(guest["lost_by_cpu"]))], guest["lost_by_cpu"])
        self.assertEqual((guest["dropped"], guest["malformed"], guest["left_out"], guest["frozen"]), (0, 0, 0, True))
        # The metrics have it all.
        self.assertEqual(self.first.metrics["final"]["op_demo_from_runs"], 300)
        self.assertEqual(self.first.metrics["history"]["lost"], 0)


@harness.about_qemu
class Idle(harness.MachineTest):
    def test_a_guest_whose_time_runs_ahead_is_asked_all(self):
        """Its CPUs rest, so QEMU's clock leaps from timer to timer, and what it records is more than anybody can read."""
        machine = self.machine("apiVersion: sis/v1\nobserve: {}\n" + MACHINE).wait_ready()
        machine.stop()
        files = Files(machine.run_dir)
        self.assertTrue(files.metrics["host"]["collector"]["complete"], machine.output())
        # Half of timeouts.stop is what it may take.
        self.assertNotIn("killed", machine.output())
        self.assertEqual((files.trace["otherData"]["guest"]["frozen"], files.metrics["history"]["frozen"]), (True, True))


if __name__ == "__main__":
    unittest.main()
