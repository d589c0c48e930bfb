"""A client of the control protocol written from docs/control-protocol.md alone: no code of the project is used, so that
a mistake made on both sides of the project's own code shows here."""

import hashlib
import hmac
import socket
import struct

HELLO, CALL, CANCEL, REPLY, ERROR, EVENT = 0x00, 0x01, 0x02, 0x80, 0x81, 0x82
OBSERVE, SUBMIT, ADMIN, ALL = 1, 2, 4, 7


class ProtocolError(Exception):
    """The peer sent bytes that the protocol does not allow, or closed too early."""


# ---- CBOR (RFC 8949), definite lengths ------------------------------------------------------------------------------


def cbor_head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << (8 * size):
            return bytes([major << 5 | code]) + value.to_bytes(size, "big")
    raise ValueError(f"{value} does not fit 64 bits")


def cbor_encode(value):
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return cbor_head(0, value) if value >= 0 else cbor_head(1, -1 - value)
    if isinstance(value, bytes):
        return cbor_head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return cbor_head(3, len(text)) + text
    if isinstance(value, list):
        return cbor_head(4, len(value)) + b"".join(cbor_encode(item) for item in value)
    if isinstance(value, dict):
        return cbor_head(5, len(value)) + b"".join(cbor_encode(k) + cbor_encode(v) for k, v in value.items())
    raise TypeError(type(value))


class CborReader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise ProtocolError("CBOR ends early")
        self.at += count
        return self.data[self.at - count:self.at]

    def head(self):
        first = self.take(1)[0]
        major, low = first >> 5, first & 31
        if low < 24:
            return major, low, low
        if low > 27:
            raise ProtocolError(f"CBOR head {first:#x}")
        return major, low, int.from_bytes(self.take(1 << (low - 24)), "big")

    def value(self):
        major, low, number = self.head()
        if major == 0:
            return number
        if major == 1:
            return -1 - number
        if major == 2:
            return self.take(number)
        if major == 3:
            return self.take(number).decode()
        if major == 4:
            return [self.value() for _ in range(number)]
        if major == 5:
            pairs = [(self.value(), self.value()) for _ in range(number)]
            if len(dict(pairs)) != number:
                raise ProtocolError("CBOR map with a key twice")
            return dict(pairs)
        if major == 7 and low in (20, 21, 22):
            return {20: False, 21: True, 22: None}[low]
        raise ProtocolError(f"CBOR major {major}, value {number}")


def cbor_decode(data):
    reader = CborReader(data)
    value = reader.value()
    if reader.at != len(data):
        raise ProtocolError("bytes after the CBOR value")
    return value


# ---- tokens and frames ----------------------------------------------------------------------------------------------


def make_token(key, rights=ALL, expires_unix_ns=0, token_id=1, version=1):
    signed = struct.pack("<BBHIQ", version, rights, 0, token_id, expires_unix_ns)
    return signed + hmac.new(key, signed, hashlib.sha256).digest()


def frame(command, payload, magic=b"C", version=1, flags=0, length=None):
    return struct.pack("<cBBBI", magic, version, command, flags, len(payload) if length is None else length) + payload


def request(command, request_id, body):
    return frame(command, struct.pack("<I", request_id) + cbor_encode(body))


def listens(socket_path):
    """True if somebody accepts connections there."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(socket_path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


class Connection:
    """A connection to one vsock port of the guest through the machine's hybrid socket."""

    def __init__(self, socket_path, port=5000, timeout=30):
        self.sent_bytes = self.received_bytes = 0  # behind the CONNECT line and its answer
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(socket_path))
        self.socket.sendall(b"CONNECT %d\n" % port)
        answer = self.receive_line()
        if not answer.startswith(b"OK "):
            self.socket.close()
            raise ConnectionRefusedError(f"CONNECT {port}: {answer!r}")

    def receive_line(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self.socket.recv(1)
            if not byte:
                break
            line += byte
        return line

    def receive_exactly(self, count):
        data = bytearray()
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ProtocolError(f"closed after {len(data)} of {count} bytes")
            data += part
        self.received_bytes += count
        return bytes(data)

    def send(self, data):
        self.socket.sendall(data)
        self.sent_bytes += len(data)

    def receive_raw_frame(self):
        """Returns (command, payload)."""
        magic, version, command, flags, length = struct.unpack("<cBBBI", self.receive_exactly(8))
        if magic != b"C" or version != 1 or flags != 0 or not 4 <= length <= 65536:
            raise ProtocolError(f"header {magic!r} {version} {command} {flags} {length}")
        return command, self.receive_exactly(length)

    def receive_frame(self):
        """Returns (command, request id, body)."""
        command, payload = self.receive_raw_frame()
        return command, struct.unpack("<I", payload[:4])[0], cbor_decode(payload[4:])

    def hello(self, token, request_id=1):
        self.send(request(HELLO, request_id, {"token": token}))
        return self.receive_frame()

    def call(self, request_id, op, args=None):
        body = {"op": op}
        if args is not None:
            body["args"] = args
        self.send(request(CALL, request_id, body))
        return self.receive_frame()

    def at_end(self):
        """True if the peer closes without sending anything more."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def session(socket_path, key, rights=ALL, timeout=30):
    """A connection that has said Hello."""
    connection = Connection(socket_path, timeout=timeout)
    command, _, body = connection.hello(make_token(key, rights))
    if command != REPLY:
        connection.close()
        raise ProtocolError(f"Hello was refused: {body}")
    return connection
