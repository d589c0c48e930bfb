"""The live page: `sisvmm run --web` and `sis-web`, asked as a browser, as Prometheus and as somebody hostile would."""

import concurrent.futures
import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import chromium  # noqa: E402
import harness  # noqa: E402

SIS_WEB = harness.BUILD / "tools/web/sis-web"


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sis-live-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.machine = harness.Machine(cls.folder, arguments=["--web", "127.0.0.1:0"])
        cls.addClassCleanup(cls.machine.stop)
        harness.wait_until(lambda: "live page: " in cls.machine.output(), "the live page's address")
        cls.url = re.search(r"live page: (http://127\.0\.0\.1:(\d+)/)", cls.machine.output())
        cls.port = int(cls.url.group(2))
        harness.wait_until(lambda: cls.data()["metrics"], "the guest's metrics")

    @classmethod
    def ask(cls, path, method="GET", body=None, port=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port or cls.port, timeout=harness.LIMIT_S)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read().decode()
        finally:
            connection.close()

    @classmethod
    def data(cls):
        return json.loads(cls.ask("/data.json")[2])["runs"][0]

    def test_the_data_object_is_the_machines(self):
        run = self.data()
        self.assertEqual(run["summary"]["machine"], self.machine.name)
        self.assertEqual(run["summary"]["outcome"], "running")
        self.assertEqual(run["scenario"], (self.machine.run_dir / "scenario.yaml").read_text())
        self.assertGreater(run["metrics"]["final"]["uptime_ns"], 0)
        harness.wait_until(lambda: len(self.data()["metrics"]["history"]["times_ns"]) >= 2, "a second sample")

    @unittest.skipUnless(shutil.which("promtool"), "there is no promtool")
    def test_prometheus_accepts_the_metrics(self):
        status, headers, text = self.ask("/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        self.assertIn(f'sis_up{{machine="{self.machine.name}"}} 1\n', text)

    def test_the_console_log_is_lines_of_json(self):
        status, headers, text = self.ask("/log")
        self.assertEqual(status, 200)
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual([line["line"] for line in lines],
                         self.machine.console().replace("\r", "").split("\n")[:len(lines)])
        self.assertEqual(self.ask(f"/log?from={headers['Sis-Next']}")[2], "")
        self.assertEqual(self.ask("/log?from=x")[0], 400)

    def test_it_only_reads(self):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
            status, headers, _ = self.ask("/data.json", method, body="{}" if method in ("POST", "PUT", "PATCH") else None)
            self.assertEqual((method, status, headers.get("Allow")), (method, 405, "GET"))
        for path in ("/nothing", "/../../etc/passwd", "/data.jsonx", "/log/x"):
            self.assertEqual(self.ask(path)[0], 404, path)

    def test_requests_that_are_none_are_not_served(self):
        for line in (b"GET http://evil.example/ HTTP/1.1", b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", b"GET //etc/passwd HTTP/1.1",
                     b"GET /log?from=-1 HTTP/1.1", b"GET /log?from=99999999999999999999 HTTP/1.1", b"GET /" + b"a" * 9000 + b" HTTP/1.1",
                     b"GET /data.json%00 HTTP/1.1", b"GET / HTTP/9.9", b"GET /", b"\0\xff\x16\x03\x01", b"CONNECT localhost:22 HTTP/1.1"):
            with self.subTest(line[:40]), socket.create_connection(("127.0.0.1", self.port), timeout=60) as client:
                client.sendall(line + b"\r\nHost: localhost\r\n\r\n")
                client.shutdown(socket.SHUT_WR)
                answer = b""
                try:
                    while more := client.recv(65536):
                        answer += more
                except ConnectionResetError:
                    pass
                self.assertNotIn(b" 200 ", answer.partition(b"\r\n")[0])
                self.assertNotIn(b"root:", answer)
        self.assertEqual(self.ask("/data.json")[0], 200)

    def test_many_clients_are_all_answered(self):
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            answers = list(pool.map(lambda number: self.ask(("/", "/data.json", "/metrics", "/log")[number % 4]), range(128)))
        self.assertEqual({status for status, _, _ in answers}, {200})
        self.assertTrue(all(text for _, _, text in answers))

    def test_names_that_lead_here_are_refused(self):
        for host in ("evil.example", "localhost.evil.example:80", ""):
            self.assertEqual(self.ask("/data.json", Host=host)[0], 403, host)
        self.assertEqual(self.ask("/data.json", Host=f"localhost:{self.port}")[0], 200)

    def test_every_answer_has_the_headers_that_bound_it(self):
        for path in ("/", "/data.json", "/nothing"):
            headers = self.ask(path)[1]
            self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
            self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(headers["Cache-Control"], "no-store")

    def test_a_request_is_bounded_and_ranges_and_compression_are_not_done(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as client:
            try:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 20_000)
                self.assertNotIn(b"200 OK", client.recv(65536))
            except (ConnectionResetError, BrokenPipeError):
                pass
        status, headers, text = self.ask("/data.json", **{"Range": "bytes=" + ",".join(["0-"] * 50), "Accept-Encoding": "gzip, br"})
        self.assertEqual(status, 200)
        self.assertNotIn("Content-Encoding", headers)
        json.loads(text)

    def test_clients_that_say_nothing_do_not_keep_others_out_for_long(self):
        idle = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(20)]
        self.assertEqual(self.ask("/data.json")[0], 200)
        for client in idle:
            client.close()

    @unittest.skipUnless(chromium.PROGRAM, "there is no Chromium")
    def test_the_page_follows(self):
        browser = chromium.Chromium()
        self.addCleanup(browser.close)
        browser.look()
        browser.open(self.url.group(1))
        value = "document.querySelector('#metrics [data-source=\"metrics.json#/final/uptime_ns\"]').value"
        before = browser.evaluate(value)
        harness.wait_until(lambda: browser.evaluate(value) != before, "another figure on the page")
        self.assertEqual(browser.evaluate("document.getElementById('state').textContent"), "live")
        self.assertEqual(browser.evaluate("[...document.querySelectorAll('section')].map((e) => e.id)"),
                         ["outcome", "environment", "plots", "histograms", "metrics", "scenario"])
        # A page that was opened before the guest answered, as one is that --web names, gets its figures all the same.
        early = "metricsSection([{live: true, metrics: null, letter: ''}])"
        late = "{live: true, metrics: {final: {late_ns: 5}}, letter: ''}"
        self.assertEqual(browser.evaluate(f"(() => {{ const node = {early}; node.update([{late}]); return node.querySelector('tbody').textContent; }})()"),
                         "late_ns5 ns")
        self.assertEqual(browser.complaints, [])
        self.assertTrue(all(url.startswith(self.url.group(1)) for url in browser.requests), browser.requests)

    def test_sis_web_follows_a_machine_that_runs(self):
        with subprocess.Popen([str(SIS_WEB), self.machine.name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True) as web:
            port = int(web.stdout.readline().rsplit(":", 1)[1].strip("/\n"))
            self.assertEqual(json.loads(self.ask("/data.json", port=port)[2])["runs"][0]["summary"]["machine"], self.machine.name)
            web.kill()

    def test_other_hosts_are_served_only_when_told_to(self):
        refused = harness.run(SIS_WEB, self.machine.name, "--listen", "0.0.0.0:0")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("other hosts could read the machine's metrics, its scenario and its console log", refused.stderr)
        self.assertEqual(harness.run(SIS_WEB, "no-such-machine").returncode, 3)


class Address(unittest.TestCase):
    def test_an_address_that_cannot_be_is_told_before_the_machine_starts(self):
        with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            for web, said in ((address, f"--web: cannot listen on {address}: Address already in use"),
                              ("0.0.0.0:80", "--web: found '0.0.0.0:80', expected 127.0.0.1:PORT")):
                machine = harness.Machine(folder, arguments=["--web", web])
                self.assertEqual(machine.wait(), 2)
                self.assertIn(said, machine.output())
                self.assertFalse((machine.run_dir / "summary.json").exists())

    @unittest.skipUnless(chromium.PROGRAM, "there is no Chromium")
    def test_a_page_that_is_open_when_the_machine_ends_says_so_and_keeps_its_figures(self):
        with tempfile.TemporaryDirectory() as folder:
            machine = harness.Machine(folder, arguments=["--web", "127.0.0.1:0"]).wait_ready()
            browser = chromium.Chromium()
            self.addCleanup(browser.close)
            browser.open(re.search(r"live page: (\S+)", machine.output()).group(1))
            figures = "document.querySelectorAll('#metrics tbody tr').length"
            harness.wait_until(lambda: browser.evaluate(figures) > 10, "figures on the page")
            machine.stop()
            state = "document.getElementById('state').textContent"
            harness.wait_until(lambda: browser.evaluate(state) in ("ended", "no answer: these are the last figures"), "the end")
            self.assertGreater(browser.evaluate(figures), 10)

    def test_the_page_ends_with_the_run_and_the_report_stays(self):
        with tempfile.TemporaryDirectory() as folder:
            machine = harness.Machine(folder, arguments=["--web", "127.0.0.1:0"]).wait_ready()
            port = int(re.search(r"live page: http://127\.0\.0\.1:(\d+)/", machine.output()).group(1))
            self.assertEqual(machine.stop(), 130)
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            self.assertIn('id="data">', (machine.run_dir / "report.html").read_text())


if __name__ == "__main__":
    unittest.main()
