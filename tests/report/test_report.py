"""`sisvmm report`: the page of a run, and of two, in a real browser. Every figure on it is looked up in the files again."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import chromium
import figures
import synthetic

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SIS_BUILD", ROOT / "build/host-debug"))
SISVMM = BUILD / "vmm/cli/sisvmm"
COLLECT = """[...document.querySelectorAll('.figure')].map((e) =>
    ({source: e.dataset.source, unit: e.dataset.unit, value: e.value, text: e.textContent, title: e.title}))"""
BARS = """[...document.querySelectorAll('rect[data-source]')].map((e) => [e.dataset.source, Number(e.dataset.value)])"""


def report(*arguments):
    return subprocess.run([str(each) for each in (SISVMM, "report", *arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)


@unittest.skipUnless(chromium.PROGRAM, "there is no Chromium")
class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="sis-report-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        synthetic.good(cls.root / "first", 1)
        synthetic.good(cls.root / "second", 2, "demo-2", passed=False)
        synthetic.hostile(cls.root / "hostile")
        synthetic.write(cls.root / "bare", {"machine": "bare", "outcome": "error", "message": "it hung"})
        cls.browser = chromium.Chromium()
        cls.addClassCleanup(cls.browser.close)

    def open(self, *folders, **look):
        page = self.root / "page.html"
        made = report(*(self.root / folder for folder in folders), "-o", page)
        self.assertEqual((made.returncode, made.stderr), (0, ""))
        self.browser.look(**look)
        self.browser.open(page.as_uri())
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('main section').length"), 10)
        # Nothing was asked for but the page.
        self.assertEqual(self.browser.requests, [page.as_uri()])
        self.assertEqual(self.browser.complaints, [])

    def check_figures(self, runs, at_least):
        found = self.browser.evaluate(COLLECT)
        self.assertGreater(len(found), at_least)
        for each in found:
            with self.subTest(each["source"]):
                value = figures.value_at(runs, each["source"])
                self.assertEqual(each["text"].lstrip("+"), figures.text_of(value, each["unit"]))
                self.assertEqual(each["title"], each["source"])
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    self.assertAlmostEqual(float(each["value"]), value, places=9)
        bars = self.browser.evaluate(BARS)
        self.assertGreater(len(bars), 100)
        for source, value in bars:
            self.assertEqual(figures.value_at(runs, source), value, source)

    def test_every_figure_is_in_the_files(self):
        self.open("first")
        self.check_figures({"": figures.Run(self.root / "first")}, 180)

    def test_every_figure_of_two_runs_is_in_their_files(self):
        self.open("first", "second")
        self.check_figures({"a": figures.Run(self.root / "first"), "b": figures.Run(self.root / "second")}, 500)
        self.browser.evaluate("document.querySelector('#metrics input[type=checkbox]').click()")
        names = self.browser.evaluate("[...document.querySelectorAll('#metrics tbody code')].map((e) => e.textContent)")
        first, second = ({**figures.Run(self.root / name).file("metrics.json")["final"]} for name in ("first", "second"))
        self.assertEqual(names, sorted(name for name in first if first[name] != second.get(name)))

    def test_metrics_and_histograms_are_filtered(self):
        self.open("first")
        for section, rows in (("metrics", "#metrics tbody tr"), ("histograms", "#histograms figure")):
            count = self.browser.evaluate(f"""(() => {{
                const input = document.querySelector('#{section} input[type=search]');
                input.value = 'op_demo_camera';
                input.dispatchEvent(new Event('input'));
                return document.querySelectorAll('{rows}').length;
            }})()""")
            self.assertEqual(count, 5 if section == "metrics" else 1)

    def test_plots_and_timeline_are_drawn(self):
        self.open("first")
        self.assertEqual(self.browser.evaluate("[...document.querySelectorAll('.plotted:not([hidden])')].map((e) => e.dataset.plot)"),
                         ["budgets", "depths", "npu", "tokens"])
        coloured = """(() => {{
            const canvas = document.querySelector('{}');
            const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            let count = 0;
            for (let i = 3; i < pixels.length; i += 4) count += pixels[i] > 0;
            return count;
        }})()"""
        for canvas in (".plotted canvas", "canvas.timeline"):
            self.assertGreater(self.browser.evaluate(coloured.format(canvas)), 1000, canvas)
        # Zooming draws something else.
        before = self.browser.evaluate("document.querySelector('canvas.timeline').toDataURL()")
        self.browser.evaluate("document.querySelector('#timeline button').click()")
        self.assertNotEqual(self.browser.evaluate("document.querySelector('canvas.timeline').toDataURL()"), before)
        self.assertEqual(self.browser.complaints, [])

    def test_hostile_names_are_texts(self):
        self.open("hostile")
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('img, script').length"), 0)
        text = self.browser.evaluate("document.body.innerText")
        self.assertGreater(text.count(synthetic.HOSTILE), 8)
        self.check_figures({"": figures.Run(self.root / "hostile")}, 100)

    def test_what_was_not_recorded_is_said(self):
        self.open("bare")
        text = self.browser.evaluate("document.body.innerText")
        for sentence in ("No trace was recorded", "No metrics were recorded", "No audit log was written", "it hung"):
            self.assertIn(sentence, text)

    def test_a_phone_and_the_dark(self):
        self.open("first", width=390, height=800, dark=True)
        self.assertLessEqual(self.browser.evaluate("document.documentElement.scrollWidth"), 390)
        self.assertEqual(self.browser.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(20, 24, 31)")
        self.open("first", "second", width=390, height=800)
        self.assertLessEqual(self.browser.evaluate("document.documentElement.scrollWidth"), 390)
        self.assertEqual(self.browser.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)")

    def test_what_is_no_run_is_refused(self):
        for folder, said in ((self.root, "summary.json"), (self.root / "nowhere", "summary.json")):
            refused = report(folder)
            self.assertEqual(refused.returncode, 2)
            self.assertIn(said, refused.stderr)
        broken = self.root / "broken"
        synthetic.write(broken, {}, metrics={"format": "sis-metrics", "version": 9})
        refused = report(broken)
        self.assertEqual(refused.returncode, 2)
        self.assertIn(f'{broken}/metrics.json: expected "format": "sis-metrics" and "version": 1', refused.stderr)
        self.assertFalse((broken / "report.html").exists())

    def test_a_long_trace_is_cut_and_says_so(self):
        folder = self.root / "long"
        events = [{"ph": "X", "pid": 1, "tid": 0, "name": "t", "ts": i, "dur": 0.5} for i in range(20_000)]
        synthetic.write(folder, {"machine": "long"}, trace={"traceEvents": events})
        self.open("long")
        left = self.browser.evaluate("document.querySelector('#timeline .figure[data-source$=left_out]').value")
        text = (self.root / "page.html").read_text()
        data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
        self.assertEqual(len(data["runs"][0]["trace"]["traceEvents"]) + int(left), 20_000)

    def test_what_a_cut_trace_does_not_end_is_drawn_to_its_last_event(self):
        self.open("first")
        events = json.dumps([{"ph": "X", "pid": 1, "tid": 0, "name": "long", "ts": 0, "dur": 1e9},
                             {"ph": "b", "pid": 3, "tid": 0, "cat": "npu", "id": "0x1", "name": "job", "ts": 1},
                             {"ph": "i", "pid": 1, "tid": 0, "name": "last", "ts": 5}])
        ends = "(() => {{ const lanes = new Lanes({}, {}); return [lanes.end, ...[...lanes.groups.values()].flatMap((group) => [...group.lanes.values()].flatMap((lane) => lane.slices.map((slice) => slice.end)))]; }})()"
        self.assertEqual(self.browser.evaluate(ends.format(events, "true")), [5, 5, 5])
        self.assertEqual(self.browser.evaluate(ends.format(events, "false")), [1e9, 1e9, 1e9])

    def test_slices_beside_one_another_are_in_one_row(self):
        self.open("first")
        # As floating-point numbers: 0.1 + 0.2 is more than 0.3.
        events = json.dumps([{"ph": "X", "pid": 1, "tid": 0, "name": "a", "ts": 0.1, "dur": 0.2}, {"ph": "X", "pid": 1, "tid": 0, "name": "b", "ts": 0.3, "dur": 1}])
        self.assertEqual(self.browser.evaluate(f"[...new Lanes({events}, false).groups.get(1).lanes.values()][0].rows"), 1)


if __name__ == "__main__":
    unittest.main()
