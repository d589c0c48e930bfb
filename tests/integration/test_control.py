"""The control channel of a running machine: every request has one reply, nothing a client sends harms another."""

import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import unittest

import harness
import protocol
from protocol import ADMIN, ALL, CALL, CANCEL, ERROR, HELLO, OBSERVE, REPLY, cbor_encode, frame, make_token, request

# A client process that tells for each request when it was fully sent ("s") and when its reply was complete ("r"), until
# it is killed.
KILLED_CLIENT = """
import os, sys
sys.path.insert(0, sys.argv[1])
import protocol
from protocol import CALL, REPLY, request
connection = protocol.session(sys.argv[2], bytes.fromhex(sys.argv[3]))
os.write(1, b"sr")
number = 1
while True:
    number += 1
    connection.send(request(CALL, number, {"op": "ping", "args": {"payload": "x" * (number % 100)}}))
    os.write(1, b"s")
    command, answered, _ = connection.receive_frame()
    assert command == REPLY and answered == number
    os.write(1, b"r")
"""


def counters(machine):
    with machine.session() as connection:
        command, _, body = connection.call(2, "counters")
        assert command == REPLY, body
        return body["result"]


class Ping(harness.MachineTest):
    def test_ten_thousand_over_one_connection_each_answered_once(self):
        machine = self.machine().wait_ready()
        before = counters(machine)
        with machine.session() as connection:
            for number in range(2, 10002):
                command, answered, body = connection.call(number, "ping", {"payload": str(number)})
                self.assertEqual((command, answered), (REPLY, number))
                self.assertEqual(body["result"]["payload"], str(number))
        after = counters(machine)
        # Ours: 10,000 pings and a Hello, then the Hello and the call that reads the counters.
        self.assertEqual(after["control_requests"] - before["control_requests"], 10003)
        # A reply is counted when it was sent, so the one that carries the counters is not yet among them.
        self.assertEqual(after["control_replies_ok"] - before["control_replies_ok"], 10003)

    def test_pipelined_requests_are_each_answered_once(self):
        machine = self.machine().wait_ready()
        with machine.session() as connection:
            numbers = list(range(10, 1010))
            sender = threading.Thread(target=lambda: connection.send(
                b"".join(request(CALL, n, {"op": "ping", "args": {"payload": "p" * 200}}) for n in numbers)))
            sender.start()
            answered = [connection.receive_frame()[1] for _ in numbers]
            sender.join()
            self.assertEqual(sorted(answered), numbers)

    def test_hundred_concurrent_connections(self):
        machine = self.machine().wait_ready()
        failures, connections = [], [machine.session() for _ in range(100)]

        def client(connection):
            for number in range(2, 102):
                payload = f"{id(connection)}-{number}"
                command, answered, body = connection.call(number, "ping", {"payload": payload})
                if (command, answered, body.get("result", {}).get("payload")) != (REPLY, number, payload):
                    failures.append((command, answered, body))

        threads = [threading.Thread(target=client, args=(connection,)) for connection in connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for connection in connections:
            connection.close()
        self.assertEqual(failures, [])
        self.assert_alive(machine)

    def kill_clients(self, machine, rounds):
        """Lets clients ping and kills them at random; returns the progress that each had told of."""
        generator = random.Random(1)
        progress = []
        for _ in range(rounds):
            clients = [subprocess.Popen([sys.executable, "-c", KILLED_CLIENT, os.path.dirname(__file__),
                                         str(machine.socket), machine.key.hex()],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) for _ in range(8)]
            for client in clients:
                self.addCleanup(client.kill)
            for client in clients:
                # Once it is at it: the start of an interpreter takes longer than a ping.
                self.assertEqual(client.stdout.read(2), b"sr", client)
            for client in clients:
                time.sleep(generator.uniform(0, 0.1))
                client.kill()
            for client in clients:
                told, complaints = client.communicate()
                self.assertEqual((complaints, client.returncode), (b"", -signal.SIGKILL))
                progress.append(b"sr" + told)
        return progress

    def test_clients_killed_at_random_leave_the_machine_whole(self):
        machine = self.machine().wait_ready()
        before = counters(machine)
        steady = {"stop": False, "pings": 0, "failures": []}

        def ping_steadily():
            with machine.session() as connection:
                number = 1
                while not steady["stop"]:
                    number += 1
                    command, answered, body = connection.call(number, "ping", {"payload": str(number)})
                    if (command, answered, body["result"]["payload"]) != (REPLY, number, str(number)):
                        steady["failures"].append(body)
                    steady["pings"] += 1
        thread = threading.Thread(target=ping_steadily)
        thread.start()
        progress = self.kill_clients(machine, rounds=5)
        steady["stop"] = True
        thread.join()
        self.assertEqual(steady["failures"], [])
        self.assertGreater(steady["pings"], 0)

        # Every connection but the one that asks is gone again.
        def only_ours():
            return counters(machine)["control_connections_open"] == 1
        harness.wait_until(only_ours, "connections of killed clients to go")
        for told in progress:
            self.assertRegex(told, rb"^(sr)+s?$", "a client got a reply to what it had not sent, or two")
        with machine.session() as connection:
            after = connection.call(2, "counters")[2]["result"]
        delta = {name: after[name] - before[name] for name in after if name.startswith("control_")}
        # The call that reads the counters is taken in and not answered yet; so was the one before.
        self.assertEqual(delta["control_requests"], delta["control_replies_ok"] + delta["control_unanswered"], delta)
        self.assertEqual((delta["control_replies_error"], delta["control_bad_frames"]), (0, 0))
        # A client may have been killed between a request and telling of it, and what a dead client's socket held may
        # or may not reach the guest: one request a client, either way. The polls of only_ours() come on top.
        answered = sum(told.count(b"r") for told in progress) + steady["pings"]
        self.assertGreaterEqual(delta["control_replies_ok"] + delta["control_unanswered"], answered)

    def test_counters_of_guest_and_monitor_agree_with_the_client(self):
        machine = self.machine()
        used = []
        for number in range(20):
            with machine.session() as connection:
                self.assertEqual(connection.call(2, "ping", {"payload": "b" * (number * 997)})[0], REPLY)
                used.append(connection)
        with machine.session() as connection:
            hello_reply_bytes = connection.received_bytes
            connection.send(request(CALL, 2, {"op": "counters"}))
            sent = sum(c.sent_bytes for c in used) + connection.sent_bytes
            received = sum(c.received_bytes for c in used) + connection.received_bytes
            guest = connection.receive_frame()[2]["result"]
            self.assertEqual(connection.call(3, "shutdown")[0], REPLY)
            used.append(connection)
        self.assertEqual(machine.wait(), 0)
        device = {name.removeprefix("vsock_"): value for name, value in machine.summary()["device_counters"].items()}
        # The monitor's own runner said Hello once, to see the guest ready; the same bytes as ours.
        hello_bytes = len(request(HELLO, 1, {"token": make_token(machine.key)}))
        self.assertEqual(guest["vsock_opened"], len(used) + 1)
        self.assertEqual(guest["vsock_rx_bytes"], sent + hello_bytes)
        self.assertEqual(guest["vsock_tx_bytes"], received + hello_reply_bytes)
        self.assertEqual(device["established"], len(used) + 1)
        for name in ("rx_bytes", "host_read_bytes"):
            self.assertEqual(device[name], sum(c.sent_bytes for c in used) + hello_bytes, name)
        for name in ("tx_bytes", "host_written_bytes"):
            self.assertEqual(device[name], sum(c.received_bytes for c in used) + hello_reply_bytes, name)
        lost = {name: value for name, value in device.items() if name.startswith("drop_") and value}
        self.assertEqual(lost, {})


class HostileClient(harness.MachineTest):
    def raw(self, machine):
        connection = protocol.socket.socket(protocol.socket.AF_UNIX)
        connection.settimeout(harness.LIMIT_S)
        connection.connect(str(machine.socket))
        self.addCleanup(connection.close)
        return connection

    def receive_all(self, connection):
        data = b""
        try:
            while part := connection.recv(4096):
                data += part
        except ConnectionResetError:
            pass
        return data

    def test_connect_line_split_into_bytes_works(self):
        machine = self.machine().wait_ready()
        connection = self.raw(machine)
        for byte in b"CONNECT 5000\n":
            connection.send(bytes([byte]))
            time.sleep(0.01)
        self.assertRegex(connection.recv(64), rb"^OK \d+\n$")

    def test_bad_connect_lines_are_refused(self):
        machine = self.machine().wait_ready()
        for line in (b"\n", b"CONNECT\n", b"CONNECT \n", b"CONNECT x\n", b"CONNECT 5000 \n", b"connect 5000\n",
                     b"CONNECT -1\n", b"CONNECT 4294967296\n", b"CONNECT 4999\n", b"CONNECT 05000x\n", b"\x00\xff\n",
                     b"GET / HTTP/1.1\r\n"):
            connection = self.raw(machine)
            connection.sendall(line)
            self.assertNotRegex(self.receive_all(connection), rb"^OK", line)
        self.assert_alive(machine)

    def test_endless_connect_line_is_closed(self):
        machine = self.machine().wait_ready()
        connection = self.raw(machine)
        with self.assertRaises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                connection.sendall(b"CONNECT " + b"1" * 4096)
        self.assert_alive(machine)

    def test_abandoned_connect_lines_do_not_block_others(self):
        machine = self.machine().wait_ready()
        held = [self.raw(machine) for _ in range(200)]
        for connection in held:
            connection.sendall(b"CONNE")
        self.assert_alive(machine)
        for connection in held:
            connection.close()
        self.assert_alive(machine)

    def test_bytes_right_behind_the_connect_line_are_not_lost(self):
        machine = self.machine().wait_ready()
        connection = self.raw(machine)
        connection.sendall(b"CONNECT 5000\n" + request(HELLO, 9, {"token": make_token(machine.key)}))
        data = b""
        while data.count(b"\n") < 1 or len(data.partition(b"\n")[2]) < 12:
            part = connection.recv(4096)
            self.assertTrue(part, data)
            data += part
        header = data.partition(b"\n")[2]
        self.assertEqual((header[0:1], header[2]), (b"C", REPLY))
        self.assertEqual(struct.unpack("<I", header[8:12])[0], 9)

    def test_each_wrong_header_field_is_answered(self):
        machine = self.machine().wait_ready()
        good = struct.pack("<I", 5) + cbor_encode({"op": "ping"})
        cases = [
            (frame(CALL, good, magic=b"X"), "malformed-frame", 0, True),
            (frame(CALL, good, version=9), "unsupported-version", 0, True),
            (frame(CALL, good, length=0xFFFFFFFF), "too-large", 0, True),
            (frame(CALL, good, length=65537), "too-large", 0, True),
            (frame(0x55, good), "unknown-command", 5, False),
            (frame(CALL, good, flags=1), "malformed-frame", 5, False),
            (frame(CALL, b""), "malformed-frame", 0, False),
            (frame(CALL, b"\x05\x00\x00"), "malformed-frame", 0, False),
            (frame(CALL, struct.pack("<I", 6)), "malformed-cbor", 6, False),
            (frame(CALL, struct.pack("<I", 6) + b"\xff"), "malformed-cbor", 6, False),
            (frame(CALL, struct.pack("<I", 6) + b"\x01"), "malformed-cbor", 6, False),
        ]
        for data, code, request_id, closes in cases:
            with self.subTest(data=data[:16]), machine.session() as connection:
                connection.send(data)
                command, answered, body = connection.receive_frame()
                self.assertEqual((command, answered, body["code"]), (ERROR, request_id, code))
                self.assertTrue(body["message"])
                if closes:
                    self.assertTrue(connection.at_end())
                else:
                    self.assertEqual(connection.call(77, "ping")[:2], (REPLY, 77))
        self.assert_alive(machine)

    def test_half_a_frame_and_then_nothing_does_not_block_others(self):
        machine = self.machine().wait_ready()
        with machine.session() as connection:
            connection.send(frame(CALL, b"", length=60000))
            self.assert_alive(machine)
        self.assert_alive(machine)

    def test_flood_without_reading_is_bounded_and_harms_nobody(self):
        machine = self.machine().wait_ready()
        flood = request(CALL, 3, {"op": "ping", "args": {"payload": "f" * 1000}}) * 200
        with machine.session() as connection:
            connection.socket.settimeout(3)
            with self.assertRaises(TimeoutError):  # the guest stops taking requests that it could not answer
                for _ in range(10000):
                    connection.send(flood)
            self.assert_alive(machine)
        self.assert_alive(machine)

    def test_random_bytes_never_stop_the_machine(self):
        machine = self.machine().wait_ready()
        generator = random.Random(2)
        for _ in range(200):
            with machine.connect() as connection:
                try:
                    connection.send(generator.randbytes(generator.randrange(1, 3000)))
                except (BrokenPipeError, ConnectionResetError):
                    pass
        self.assert_alive(machine)

    def test_connection_limit_is_told(self):
        machine = self.machine().wait_ready()
        held = []
        refused = None
        while refused is None and len(held) < 2000:
            connection = machine.connect()
            held.append(connection)
            try:
                connection.send(request(HELLO, 1, {"token": make_token(machine.key)}))
            except BrokenPipeError:
                pass  # turned away already; why is there to be read
            command, request_id, body = connection.receive_frame()
            if command == ERROR:
                refused = (request_id, body["code"])
                self.assertTrue(connection.at_end())
        self.assertEqual(refused, (0, "busy"))
        self.assertGreaterEqual(len(held), 100)
        done = machine.ctl("ping")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("busy", done.stderr)
        for connection in held:
            connection.close()
        harness.wait_until(lambda: self.try_session(machine), "room for a connection again")

    def try_session(self, machine):
        try:
            machine.session().close()
            return True
        except (ConnectionRefusedError, protocol.ProtocolError):
            return False


class Tokens(harness.MachineTest):
    def setUp(self):
        super().setUp()
        self.subject = self.machine().wait_ready()

    def hello_code(self, token):
        with self.subject.connect() as connection:
            command, _, body = connection.hello(token)
            return body["code"] if command == ERROR else "accepted"

    def test_each_bad_token_is_refused_with_its_reason(self):
        key = self.subject.key
        good = make_token(key)
        self.assertEqual(self.hello_code(good), "accepted")
        flipped = good[:-1] + bytes([good[-1] ^ 1])
        widened = bytes([good[0], ALL]) + make_token(key, rights=OBSERVE)[2:]
        self.assertEqual(self.hello_code(flipped), "token-invalid")
        self.assertEqual(self.hello_code(widened), "token-invalid")
        self.assertEqual(self.hello_code(make_token(bytes(32))), "token-invalid")
        self.assertEqual(self.hello_code(make_token(key, version=2)), "token-invalid")
        self.assertEqual(self.hello_code(good[:47]), "bad-argument")
        self.assertEqual(self.hello_code(good + b"\0"), "bad-argument")
        self.assertEqual(self.hello_code(make_token(key, expires_unix_ns=1)), "token-expired")
        hour = 3600 * 10**9
        self.assertEqual(self.hello_code(make_token(key, expires_unix_ns=time.time_ns() + hour)), "accepted")
        self.assertEqual(self.hello_code(make_token(key, expires_unix_ns=time.time_ns() - hour)), "token-expired")

    def test_request_before_hello_is_refused(self):
        with self.subject.connect() as connection:
            command, answered, body = connection.call(4, "ping")
            self.assertEqual((command, answered, body["code"]), (ERROR, 4, "unauthenticated"))

    def test_rights_are_enforced(self):
        with self.subject.session(OBSERVE) as connection:
            self.assertEqual(connection.call(2, "ping")[0], REPLY)
            command, _, body = connection.call(3, "shutdown")
            self.assertEqual((command, body["code"]), (ERROR, "forbidden"))
            command, _, body = connection.call(4, "shell", {"line": "shutdown"})
            self.assertNotIn("poweroff", str(body))
        self.assert_alive(self.subject)

    def test_key_of_another_machine_is_refused(self):
        other = self.machine(name="other").wait_ready()
        self.assertNotEqual(other.key, self.subject.key)
        self.assertEqual(self.hello_code(make_token(other.key)), "token-invalid")

    def test_key_file_is_private(self):
        self.assertEqual((self.subject.run_dir / "control.key").stat().st_mode & 0o777, 0o600)


class Calls(harness.MachineTest):
    def setUp(self):
        super().setUp()
        self.subject = self.machine().wait_ready()

    def error(self, op, args=None):
        with self.subject.session() as connection:
            command, _, body = connection.call(2, op, args)
            self.assertEqual(command, ERROR, body)
            self.assertEqual(body["status"], "error")
            return body["code"], body.get("field")

    def test_bad_calls_name_the_field(self):
        self.assertEqual(self.error("no-such-op")[0], "unknown-op")
        self.assertEqual(self.error("ping", {"paylod": "x"}), ("unknown-argument", "paylod"))
        self.assertEqual(self.error("shutdown", {"code": 256}), ("bad-argument", "code"))
        self.assertEqual(self.error("shutdown", {"code": "zero"}), ("bad-argument", "code"))
        self.assertEqual(self.error("shell"), ("missing-argument", "line"))

    def test_sleep_is_cancelled_by_its_id_alone(self):
        with self.subject.session() as connection:
            connection.send(request(CALL, 20, {"op": "sleep", "args": {"ms": 60000}}))
            connection.send(request(CALL, 21, {"op": "sleep", "args": {"ms": 1}}))
            connection.send(request(CANCEL, 22, {"id": 20}))
            answers = {}
            for _ in range(3):
                command, answered, body = connection.receive_frame()
                self.assertNotIn(answered, answers)
                answers[answered] = (command, body)
            self.assertEqual((answers[20][0], answers[20][1]["code"]), (ERROR, "cancelled"))
            self.assertEqual(answers[21][0], REPLY)
            self.assertEqual(answers[22][0], REPLY)

    def test_shell_line_runs_and_reports_its_status(self):
        with self.subject.session() as connection:
            command, _, body = connection.call(2, "shell", {"line": "echo 'a  b' \"c;d\""})
            self.assertEqual(command, REPLY, body)
            self.assertEqual(body["result"]["output"].strip(), "a  b c;d")
            self.assertEqual(body["result"]["status"], 0)
            command, _, body = connection.call(3, "shell", {"line": "nonsense"})
            self.assertTrue(command == ERROR or body["result"]["status"] != 0, body)

    def test_info_tells_the_truth(self):
        with self.subject.session() as connection:
            result = connection.call(2, "info")[2]["result"]
        self.assertEqual(result["cpus"], 1)
        self.assertEqual(result["memory_bytes"], 512 << 20)


if __name__ == "__main__":
    unittest.main()
