"""The legacy socket: clients of version 0 of the control protocol, by Unix socket and by TCP, well-behaved and not."""

import json
import re
import socket
import stat
import struct
import sys
import unittest

import gguf_models
import harness
import protocol

EXAMPLE = harness.ROOT / "tools/examples/legacy_client.py"
CONFIG = (harness.ROOT / "configs/legacy-clients.yaml").read_text()
TCP = 'apiVersion: sis/v1\nname: tcp\ncontrol: {legacy_socket: {tcp: "127.0.0.1:0"}}\n'
TOKEN = 0x53535F4354524C21
CREATE, ADD_CHANNEL, START = 1, 2, 4
LOAD, INFER, POLL, CANCEL = 0x10, 0x11, 0x12, 0x13


def frame(command, arguments=b"", token=TOKEN, version=0):
    payload = struct.pack("<Q", token) + arguments
    return struct.pack("<cBBBI", b"C", version, command, 0, len(payload)) + payload


class Client:
    """One connection; answers are lines."""

    def __init__(self, where):
        kind, _, address = where.partition(":")
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
        else:
            self.socket = socket.socket()
            host, port = address.rsplit(":", 1)
            address = host, int(port)
        self.socket.settimeout(harness.LIMIT_S)
        self.socket.connect(address)
        self.lines = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.lines.close()
        self.socket.close()

    def send(self, data):
        """Sends; to a connection that has ended too, whose last line says why."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def line(self):
        """The next answer; "" at the end of the connection, however it came."""
        try:
            return self.lines.readline().decode("ascii").rstrip("\n")
        except ConnectionResetError:
            return ""

    def ask(self, *arguments, **options):
        return self.send(frame(*arguments, **options)).line()


class LegacyTest(harness.MachineTest):
    def where(self, machine):
        """What the run printed."""
        pattern = re.compile(r"^clients of protocol version 0 connect to (\S+)$", re.M)
        harness.wait_until(lambda: machine.process.poll() is not None or pattern.search(machine.output()),
                           "the line that says where")
        found = pattern.search(machine.output())
        self.assertIsNotNone(found, machine.output())
        return found[1]

    def check_example(self, where):
        done = harness.run(sys.executable, EXAMPLE, where)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^StartGraph +OK RUN steps=1000 executions=2000 ns=[1-9][0-9]*$")


class UnixSocket(LegacyTest):
    def test_a_client_builds_and_runs_a_graph_that_everybody_sees(self):
        machine = self.machine(CONFIG)
        path = machine.run_dir / "v0.sock"
        self.assertEqual(self.where(machine), f"unix:{path}")
        with Client(f"unix:{path}") as early:  # before the guest has booted: it is held
            self.assertEqual(early.ask(CREATE), "OK GRAPH name=v0")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.check_example(f"unix:{path}")
        with machine.session() as connection:
            command, _, body = connection.call(2, "graph show", {"graph": "v0"})
            self.assertEqual(command, protocol.REPLY, body)
            self.assertEqual((body["result"]["end"], body["result"]["server"]["budget_us"]), ("finished", 2000))
        done = harness.run(harness.SISVMM, "ls", "--json")
        row = next(row for row in json.loads(done.stdout) if row["name"] == machine.name)
        self.assertEqual(row["legacy_socket"], f"unix:{path}")
        self.assertEqual(machine.stop(), 130, machine.output())
        self.assertFalse(path.exists())
        self.assertEqual(machine.summary()["legacy_socket"], f"unix:{path}")

    def test_what_lies_at_the_path_stays(self):
        taken = self.folder / "taken"
        taken.write_text("precious")
        done, _ = self.run_scenario(f"apiVersion: sis/v1\ncontrol: {{legacy_socket: {{unix: {taken}}}}}\n")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn(f"control.legacy_socket: cannot listen on unix:{taken}: a file lies there already", done.stderr)
        self.assertEqual(taken.read_text(), "precious")

    def test_hostile_clients_harm_nobody(self):
        machine = self.machine(CONFIG).wait_ready()
        where = self.where(machine)
        with Client(where) as client:
            self.assertEqual(client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").line(),
                             "ERR malformed-frame the first byte of a frame must be 'C' (0x43)")
            self.assertEqual(client.line(), "")
        with Client(where) as client:  # version 1 is spoken on another port
            self.assertEqual(client.ask(0, version=1),
                             "ERR unsupported-version the protocol version of this connection is 0")
            self.assertEqual(client.line(), "")
        with Client(where) as client:  # a promise of 4 GiB
            self.assertIn("ERR too-large", client.send(struct.pack("<cBBBI", b"C", 0, CREATE, 0, 0xFFFFFFFF)).line())
        with Client(where) as client:
            for guess in range(8):
                self.assertIn("ERR token-invalid", client.ask(CREATE, token=guess))
            self.assertEqual(client.line(), "")
        for cut in range(16):  # leaves in the middle of a frame
            Client(where).send(frame(CREATE)[:cut]).close()
        with Client(where) as slow:  # byte by byte
            for byte in frame(CREATE):
                slow.send(bytes([byte]))
            self.assertEqual(slow.line(), "OK GRAPH name=v0")
            # Asks without end and reads nothing, until nobody takes its requests any more.
            slow.socket.settimeout(2)
            with self.assertRaises(TimeoutError):
                while True:
                    slow.send(frame(ADD_CHANNEL, struct.pack("<H", 0)) * 1000)
            self.check_example(where)
        self.assert_alive(machine)

    def test_a_flood_leaves_room_for_others(self):
        machine = self.machine(CONFIG).wait_ready()
        where = self.where(machine)
        flood = [Client(where) for _ in range(100)]
        answers = [client.send(frame(CREATE)).line() for client in flood]
        self.assertLess(0, answers.count("OK GRAPH name=v0"))
        self.assertLessEqual(answers.count("OK GRAPH name=v0"), 64)
        self.assertEqual(set(answers), {"OK GRAPH name=v0", "ERR busy the control server has no room for another connection"})
        self.assert_alive(machine)
        for client in flood:
            client.close()
        self.check_example(where)


class Tcp(LegacyTest):
    def test_a_client_builds_and_runs_a_graph(self):
        machine = self.machine(TCP).wait_ready()
        where = self.where(machine)
        self.assertRegex(where, r"^tcp:127\.0\.0\.1:[1-9][0-9]*$")
        self.check_example(where)
        with Client(where) as client:  # all at once, answered in order
            client.send(frame(CREATE) + frame(START, struct.pack("<I", 1)) + frame(9))
            self.assertEqual([client.line().split()[:2] for _ in range(3)],
                             [["OK", "GRAPH"], ["ERR", "graph-incomplete"], ["ERR", "unknown-command"]])
            client.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(client.line(), "")
        with socket.socket() as other_address:
            with self.assertRaises(ConnectionRefusedError):
                other_address.connect(("127.0.0.2", int(where.rsplit(":", 1)[1])))
        # Another machine cannot have the port.
        done, _ = self.run_scenario(TCP.replace("127.0.0.1:0", where[4:]))
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn(f"cannot listen on {where}: another program has the port", done.stderr)
        for abrupt in range(20):
            client = Client(where).send(frame(CREATE))
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST at close
            client.close()
        self.assert_alive(machine)
        self.assertEqual(machine.stop(), 130, machine.output())
        self.assertEqual(machine.summary()["legacy_socket"], where)


class Model(LegacyTest):
    def test_a_model_is_loaded_asked_polled_and_cancelled(self):
        gguf_models.put(self.folder / "m.gguf", stories=False)
        machine = self.machine("apiVersion: sis/v1\nmachine: {memory: 256MiB}\ncontrol: {legacy_socket: {unix: v0.sock}}\n"
                               "llm: {allow_unsigned: true, models: [{file: m.gguf, load: false}]}\n").wait_ready()
        with Client(self.where(machine)) as client:
            self.assertTrue(client.ask(INFER, struct.pack("<H", 8) + b"why").startswith("ERR llm-no-model "))
            self.assertEqual(client.ask(LOAD), "OK MODEL id=m")
            self.assertTrue(client.ask(LOAD, struct.pack("<Q", 7)).startswith("ERR bad-argument wcet_cycles"))
            self.assertEqual(client.ask(INFER, struct.pack("<H", 8) + b"why"), "OK INFER id=1 model=m")
            tokens, done = 0, "0"
            while done == "0":
                line = client.ask(POLL, struct.pack("<IH", 0, 3))
                found = re.fullmatch(r"OK TOK id=1 n=([0-3]) done=([01]) plen=3 model=m items=([!-~]*)", line)
                self.assertIsNotNone(found, line)
                tokens += int(found[1])
                done = found[2]
            self.assertGreaterEqual(tokens, 8)
            self.assertEqual(client.ask(INFER, struct.pack("<H", 60) + b"why"), "OK INFER id=2 model=m")
            self.assertEqual(client.ask(CANCEL, struct.pack("<I", 2)), "OK CANCEL id=2")
            self.assertTrue(client.ask(POLL, struct.pack("<I", 3)).startswith("ERR llm-no-request "))


class DevelopmentToken(LegacyTest):
    def test_counts_on_the_legacy_socket_only(self):
        machine = self.machine(CONFIG).wait_ready()
        with machine.connect() as connection:
            connection.send(frame(CREATE))
            self.assertTrue(connection.socket.recv(100).startswith(b"ERR token-invalid "))
        with self.assertRaises(ConnectionRefusedError):
            machine.connect(5001)
        plain = self.machine(name="plain").wait_ready()
        with plain.connect() as connection:
            connection.send(frame(CREATE))
            self.assertTrue(connection.socket.recv(100).startswith(b"ERR token-invalid "))
        with self.assertRaises(ConnectionRefusedError):
            plain.connect(5001)


if __name__ == "__main__":
    unittest.main()
