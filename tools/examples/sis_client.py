#!/usr/bin/env python3
"""A client of the control protocol of a running machine, written from docs/control-protocol.md; standard library only.

usage: sis_client.py RUN_DIR OP [JSON]

Sends the command OP with the arguments JSON, an object, and prints its result as JSON; bytes in it as hexadecimal text.
Events that come before the result have a line each. Exit code: 0, 1 if the command was refused (why is on standard
error), 2 if it could not be asked.

    sis_client.py /run/user/1000/sis/m ping '{"payload": "hello"}'
    sis_client.py /run/user/1000/sis/m 'watch trace' '{"count": 10}'
"""

import hashlib
import hmac
import json
import pathlib
import socket
import struct
import sys

HELLO, CALL, CANCEL, REPLY, ERROR, EVENT = 0x00, 0x01, 0x02, 0x80, 0x81, 0x82
CONTROL_PORT, MAX_PAYLOAD = 5000, 65536
ALL_RIGHTS = 7


class Refused(Exception):
    """The guest answered with an Error."""

    def __init__(self, body):
        field = f" [{body['field']}]" if "field" in body else ""
        super().__init__(f"{body['code']}{field}: {body['message']}")
        self.code, self.field = body["code"], body.get("field")


def encode(value):
    """CBOR of None, booleans, integers, bytes, text, lists, and dictionaries with text keys."""
    def head(major, number):
        if number < 24:
            return bytes([major << 5 | number])
        code, size = next((code, size) for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)) if number < 1 << 8 * size)
        return bytes([major << 5 | code]) + number.to_bytes(size, "big")

    if value is None or isinstance(value, bool):
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(encode(key) + encode(item) for key, item in value.items())
    raise TypeError(f"the protocol has no {type(value).__name__}: {value!r}")


def decode(data, at=0):
    """Returns the CBOR value at `at` and where the next one begins."""
    major, number = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        return {20: False, 21: True, 22: None}[number], at
    if number >= 24:
        size = 1 << number - 24
        number, at = int.from_bytes(data[at:at + size], "big"), at + size
    if major < 2:
        return (number if major == 0 else -1 - number), at
    if major < 4:
        content = data[at:at + number]
        return (content if major == 2 else content.decode()), at + number
    items = []
    for _ in range(number if major == 4 else 2 * number):
        item, at = decode(data, at)
        items.append(item)
    return (items if major == 4 else dict(zip(items[::2], items[1::2]))), at


def make_token(key, rights=ALL_RIGHTS, token_id=1, expires_unix_ns=0):
    signed = struct.pack("<BBHIQ", 1, rights, 0, token_id, expires_unix_ns)
    return signed + hmac.new(key, signed, hashlib.sha256).digest()


class Client:
    """A connection that has said Hello. Requests may be sent without waiting for answers."""

    def __init__(self, run_dir, rights=ALL_RIGHTS, timeout_s=30):
        run_dir = pathlib.Path(run_dir)
        self.last_id, self.answers = 0, {}
        self.on_event = lambda request_id, body: None
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout_s)
        self.socket.connect(str(run_dir / "vsock.sock"))
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(b"CONNECT %d\n" % CONTROL_PORT)
        line = self.stream.readline()
        if not line.startswith(b"OK "):
            raise ConnectionError(f"the machine answered CONNECT with {line!r}")
        token = make_token((run_dir / "control.key").read_bytes(), rights)
        self.hello = self.receive(self.send(HELLO, {"token": token}))

    def send(self, command, body):
        """Returns the id of the request."""
        self.last_id += 1
        payload = struct.pack("<I", self.last_id) + encode(body)
        self.socket.sendall(struct.pack("<cBBBI", b"C", 1, command, 0, len(payload)) + payload)
        return self.last_id

    def receive_frame(self):
        """Returns (command, request id, body) of the next frame."""
        header = self.stream.read(12)
        if len(header) < 12:
            raise ConnectionError("the machine closed the connection")
        magic, version, command, _, length, request_id = struct.unpack("<cBBBII", header)
        if (magic, version) != (b"C", 1) or not 4 <= length <= MAX_PAYLOAD:
            raise ConnectionError(f"this is no frame of the protocol: {header!r}")
        return command, request_id, decode(self.stream.read(length - 4))[0]

    def receive(self, request_id):
        """The answer to a request; those to others are kept until they are asked for. Events go to on_event."""
        while request_id not in self.answers:
            command, answered, body = self.receive_frame()
            if command == ERROR and answered == 0:
                raise Refused(body)
            if command == EVENT:
                self.on_event(answered, body)
            else:
                self.answers[answered] = command, body
        command, body = self.answers.pop(request_id)
        if command == ERROR:
            raise Refused(body)
        return body.get("result", body)

    def start(self, op, /, **arguments):
        """Sends a command and returns the id under which its result is to be received, or cancelled."""
        return self.send(CALL, {"op": op, "args": arguments})

    def call(self, op, /, **arguments):
        return self.receive(self.start(op, **arguments))

    def cancel(self, request_id):
        return self.receive(self.send(CANCEL, {"id": request_id}))

    def close(self):
        self.stream.close()
        self.socket.close()


def main(words):
    if len(words) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        arguments = json.loads(words[2]) if len(words) == 3 else {}
        if not isinstance(arguments, dict):
            raise ValueError(f"the arguments must be a JSON object, not {words[2]}")
        client = Client(words[0])
        client.on_event = lambda _, event: print(json.dumps(event, default=bytes.hex), flush=True)
        print(json.dumps(client.call(words[1], **arguments), default=bytes.hex))
        return 0
    except Refused as refused:
        print(f"sis_client: {refused}", file=sys.stderr)
        return 1
    except (OSError, ValueError, TypeError, LookupError) as error:
        print(f"sis_client: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
