"""vsock as a byte stream: large transfers with checksums, half-close, resets, no head-of-line blocking."""

import hashlib
import random
import socket
import threading
import unittest

import harness

SERVICES = "apiVersion: sis/v1\nname: services\ncontrol: {test_services: true}\n"
ECHO, DISCARD, CHARGEN = 7, 9, 19


class Echoes:
    """What every guest with the test services must do; self.subject is the machine."""

    def echo(self, total, seed, chunk=65536):
        """Sends `total` random bytes to the echo service and compares checksums; returns the bytes received."""
        sent, received = hashlib.sha256(), hashlib.sha256()
        generator = random.Random(seed)
        with self.subject.connect(ECHO) as connection:
            def send():
                left = total
                while left:
                    part = generator.randbytes(min(left, generator.randrange(1, chunk)))
                    sent.update(part)
                    connection.send(part)
                    left -= len(part)
                connection.socket.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            count = 0
            while part := connection.socket.recv(65536):
                received.update(part)
                count += len(part)
            sender.join()
        self.assertEqual(received.hexdigest(), sent.hexdigest())
        return count

    def test_64_mib_echo_keeps_its_checksum(self):
        self.assertEqual(self.echo(64 << 20, seed=1), 64 << 20)

    def test_many_small_writes(self):
        self.assertEqual(self.echo(200_000, seed=2, chunk=50), 200_000)

    def test_sixteen_echoes_at_once(self):
        failures = []

        def one(seed):
            try:
                assert self.echo(1 << 20, seed) == 1 << 20
            except BaseException as error:  # pylint: disable=broad-except
                failures.append(error)
        threads = [threading.Thread(target=one, args=(seed,)) for seed in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_reader_that_does_not_read_blocks_nobody(self):
        with self.subject.connect(CHARGEN) as slow, self.subject.connect(ECHO) as stuck:
            stuck.socket.settimeout(2)
            with self.assertRaises(TimeoutError):
                while True:
                    stuck.send(bytes(65536))
            self.assertEqual(self.echo(1 << 20, seed=3), 1 << 20)
            self.assert_alive(self.subject)
            self.assertTrue(slow.socket.recv(10))

    def test_half_close_still_delivers_the_rest(self):
        with self.subject.connect(ECHO) as connection:
            connection.send(b"last words")
            connection.socket.shutdown(socket.SHUT_WR)
            data = b""
            while part := connection.socket.recv(100):
                data += part
            self.assertEqual(data, b"last words")

    def test_discard_closes_when_all_was_taken(self):
        with self.subject.connect(DISCARD) as connection:
            connection.send(bytes(1 << 20))
            connection.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(connection.socket.recv(1), b"")

    def test_abrupt_close_in_mid_transfer_harms_nobody(self):
        for _ in range(50):
            connection = self.subject.connect(CHARGEN)
            connection.socket.recv(1000)
            connection.close()
        self.assert_alive(self.subject)


class Streams(Echoes, harness.MachineTest):
    def setUp(self):
        super().setUp()
        self.subject = self.machine(SERVICES).wait_ready()

    def test_services_are_off_unless_asked_for(self):
        plain = self.machine(name="plain").wait_ready()
        with self.assertRaises(ConnectionRefusedError):
            plain.connect(ECHO)


if __name__ == "__main__":
    unittest.main()
