"""Tokens, the machine's key and the audit log of a real guest: by sisctl, and by the independent client."""

import json
import pathlib
import re
import stat
import time

import harness
import protocol

AUDIT_PAGE = harness.ROOT / "docs/audit.md"


def verify_of_the_page():
    """The function that docs/audit.md gives its readers."""
    code = re.search(r"```python\n(.*?)```", AUDIT_PAGE.read_text(), re.DOTALL)[1]
    names = {}
    exec(code, names)  # our own page
    return names["verify"]


class Tokens(harness.MachineTest):
    def setUp(self):
        super().setUp()
        self.subject = self.machine().wait_ready()

    def ctl(self, *words, code=0, **options):
        done = self.subject.ctl("--json", *words, **options)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        answer = json.loads(done.stdout)
        return answer["error"] if code else answer

    def connection(self, token):
        connection = self.subject.connect()
        self.addCleanup(connection.close)
        self.assertEqual(connection.hello(bytes.fromhex(token))[0], protocol.REPLY)
        return connection

    def test_rotation_revokes_open_connections_and_locks_nobody_out(self):
        first = self.subject.key
        with self.subject.session() as idle, self.subject.session() as waits:
            waits.send(protocol.request(protocol.CALL, 5, {"op": "sleep", "args": {"ms": 600_000}}))
            shown = self.ctl("ctlkey")["fingerprint"]
            rotated = self.ctl("ctlkey", "rotate")
            self.assertNotIn("key", rotated)
            self.assertNotEqual(rotated["fingerprint"], shown)
            command, answered, body = waits.receive_frame()
            self.assertEqual((command, answered, body["code"]), (protocol.ERROR, 5, "cancelled"))
            for connection in (idle, waits):
                self.assertEqual(connection.call(6, "ping")[2]["code"], "token-revoked")
        key_file = pathlib.Path(rotated["key_written_to"])
        self.assertEqual(key_file, self.subject.run_dir / "control.key")
        self.assertEqual(stat.S_IMODE(key_file.stat().st_mode), 0o600)
        self.assertNotEqual(self.subject.key, first)
        self.assert_alive(self.subject)
        self.assertEqual(self.ctl("ctlkey")["fingerprint"], rotated["fingerprint"])
        with self.subject.connect() as old:
            self.assertEqual(old.hello(protocol.make_token(first))[2]["code"], "token-invalid")
        # A line of the shell, and the monitor, which asks the guest to shut down.
        self.assertEqual(self.subject.ctl("shell", "ctlkey rotate").returncode, 0)
        self.assert_alive(self.subject)
        self.subject.stop()
        self.assertIn("SIS-EXIT kind=shutdown", self.subject.console())

    def test_reboot_brings_the_first_key_back(self):
        first = self.subject.key
        self.ctl("ctlkey", "rotate", "ab" * 32)
        self.assertEqual(self.subject.key, b"\xab" * 32)
        self.ctl("call", "reboot")
        harness.wait_until(lambda: self.subject.key == first, "the first key in its file")
        self.assert_alive(self.subject)

    def test_tokens_give_what_they_say_until_they_are_revoked_or_expire(self):
        made = self.ctl("token", "new", "submit", "--name", "ci")
        self.assertEqual(made["rights"], "submit")
        token_file = self.folder / "token"
        token_file.write_text(made["token"] + "\n")
        with_token = ("--token", f"@{token_file}")
        self.ctl(*with_token, "call", "sleep", "--args", '{"ms": 1}')
        self.ctl("call", "sleep", "--args", '{"ms": 1}', env=harness.environment(SIS_TOKEN=made["token"]))
        for words in (("token", "new", "observe"), ("token", "new", "submit,admin"), ("token", "list"), ("audit",),
                      ("token", "revoke", "1"), ("ctlkey", "rotate"), ("ctlembed", "admin"), ("mem",), ("log",)):
            error = self.ctl(*with_token, *(("call",) if words == ("log",) else ()), *words, code=1)
            self.assertEqual(error["code"], "forbidden", words)
        child = self.ctl(*with_token, "token", "new", "submit")
        open_one = self.connection(child["token"])
        listed = self.subject.ctl("token", "list").stdout
        self.assertRegex(listed, rf"(?m)^{made['id']}  +submit .* ci$")
        self.assertEqual(self.ctl("token", "revoke", str(made["id"])), {"id": made["id"], "known": True, "revoked": 2})
        self.assertEqual(self.ctl(*with_token, "info", code=1)["code"], "token-revoked")
        self.assertEqual(open_one.call(2, "sleep", {"ms": 1})[2]["code"], "token-revoked")

        short = self.connection(self.ctl("token", "new", "observe", "1")["token"])
        self.assertEqual(short.call(2, "uptime")[0], protocol.REPLY)
        time.sleep(1.1)
        self.assertEqual(short.call(3, "uptime")[2]["code"], "token-expired")

    def test_audit_log_is_a_chain_of_what_was_done(self):
        self.ctl("ctladmin", "rotate")
        self.ctl("call", "log", "--args", '{"level": "debug-me"}', code=1)
        secret = "a prompt that nobody else shall read"
        self.ctl("ping", "--payload", secret)
        hello = protocol.request(protocol.HELLO, 1, {"token": bytes(48)})
        answer = bytes.fromhex(self.ctl("ctlhex", hello.hex())["answer"])
        self.assertIn(b"token-invalid", answer)
        audit = self.ctl("audit", "96")
        verify_of_the_page()(audit)
        happened = [(record["event"], record["op"], record["code"]) for record in audit["records"]]
        for expected in (("legacy-token-set", "ctladmin", ""), ("call-done", "ctladmin", ""),
                         ("call-refused", "log", "bad-argument"), ("token-refused", "", "token-invalid"),
                         ("call-done", "ctlhex", "")):
            self.assertIn(expected, happened)
        self.assertNotIn("ping", [op for _, op, _ in happened])
        self.assertNotIn("prompt", json.dumps(audit))
        with self.assertRaises(AssertionError):
            audit["records"][3]["bytes"] += 1
            verify_of_the_page()(audit)
        self.assertRegex(self.subject.ctl("audit", "3").stdout, r"(?m)^sequence .*\n\d+ +\d+ +call-done ")
