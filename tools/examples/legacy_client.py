#!/usr/bin/env python3
"""Builds a graph by version 0 of the control protocol and runs it (docs/control-protocol-v0.md).

usage: legacy_client.py unix:PATH | tcp:HOST:PORT [TOKEN]
"""

import socket
import struct
import sys

DEVELOPMENT_TOKEN = 0x53535F4354524C21
NO_CHANNEL = 0xFFFF


def frame(command, arguments=b"", token=DEVELOPMENT_TOKEN):
    payload = struct.pack("<Q", token) + arguments
    return struct.pack("<cBBBI", b"C", 0, command, 0, len(payload)) + payload


def connect(where):
    kind, _, address = where.partition(":")
    if kind == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address)
        return connection
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)))


def main():
    if len(sys.argv) not in (2, 3) or not sys.argv[1].startswith(("unix:", "tcp:")):
        sys.exit(__doc__)
    token = int(sys.argv[2], 0) if len(sys.argv) == 3 else DEVELOPMENT_TOKEN
    steps = [("CreateGraph", 1, b""),
             ("AddChannel", 2, struct.pack("<H", 4)),
             ("AddOperator", 3, struct.pack("<IHHBB", 1, NO_CHANNEL, 0, 0, 0)),
             ("AddOperator", 3, struct.pack("<IHHBB", 2, 0, NO_CHANNEL, 0, 4)),
             ("EnableDeterministic", 6, struct.pack("<QQQ", 2_000_000, 10_000_000, 10_000_000)),
             ("StartGraph", 4, struct.pack("<I", 1000))]
    failed = False
    with connect(sys.argv[1]) as connection, connection.makefile("r", encoding="ascii") as answers:
        for name, command, arguments in steps:
            connection.sendall(frame(command, arguments, token))
            answer = answers.readline().strip()
            failed = failed or not answer.startswith("OK")
            print(f"{name:20} {answer}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
