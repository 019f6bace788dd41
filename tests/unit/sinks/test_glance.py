"""The sink that uploads: order, bounds, digests, and what becomes of failures on either side."""

from __future__ import annotations

import hashlib
import io
import random
import threading
import time

from tests.base import TestCase
from xenimage.exceptions import TransferError, UsageError
from xenimage.sinks.glance import GlanceSink

MIB = 1 << 20
DATA = random.Random(3).randbytes(3 * MIB + 17)


class GlanceSinkTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.taken = bytearray()

    def take(self, body, size: int = MIB) -> None:
        while piece := body.read(size):
            self.taken += piece

    def sink(self, send=None) -> GlanceSink:
        sink = GlanceSink(send or self.take, "image i", ("md5", "sha512"))
        self.addCleanup(sink.abandon)
        return sink

    def test_everything_arrives_in_order_and_once(self) -> None:
        sink = self.sink()
        numbers = random.Random(4)
        at = 0
        while at < len(DATA):
            parts = [DATA[at : (at := at + numbers.randrange(3000))] for _ in range(3)]
            sink.write([parts[0], bytearray(parts[1]), memoryview(parts[2])])
        sink.finish()
        self.assert_same_bytes(DATA, bytes(self.taken))
        self.assertEqual(len(DATA), sink.size)
        expected = {"md5": hashlib.md5(DATA).hexdigest(), "sha512": hashlib.sha512(DATA).hexdigest()}
        self.assertEqual(expected, sink.digests())

    def test_empty_parts_do_not_look_like_the_end(self) -> None:
        sink = self.sink()
        for _ in range(50):
            sink.write([b"", b"x", b"", bytearray()])
        sink.write([])
        sink.finish()
        self.assertEqual(b"x" * 50, bytes(self.taken))

    def test_what_is_written_may_be_changed_afterwards(self) -> None:
        go = threading.Event()

        def later(body) -> None:
            go.wait(10)
            self.take(body)

        sink = self.sink(later)
        buffer = bytearray(b"before")
        sink.write([buffer])
        buffer[:] = b"behind"
        go.set()
        sink.finish()
        self.assertEqual(b"before", bytes(self.taken))

    def test_pieces_stay_below_what_uwsgi_refuses(self) -> None:
        sizes = []

        def measure(body) -> None:
            while piece := body.read(16 * MIB):
                sizes.append(len(piece))

        sink = self.sink(measure)
        sink.write([DATA])
        sink.finish()
        self.assertLess(max(sizes), MIB)
        self.assertEqual(len(DATA), sum(sizes))

    def test_little_waits_however_slow_the_cloud_is(self) -> None:
        go = threading.Event()

        def slow(body) -> None:
            go.wait(10)
            self.take(body)

        sink = self.sink(slow)
        written = []

        def write() -> None:
            for _ in range(64):
                sink.write([bytes(MIB)])
                written.append(MIB)

        writer = threading.Thread(target=write)
        writer.start()
        while not written or (time.sleep(0.2), len(written))[1] != (time.sleep(0.2), len(written))[1]:
            pass
        self.assertLessEqual(sum(written), 10 * MIB)
        go.set()
        writer.join()
        sink.finish()
        self.assertEqual(64 * MIB, len(self.taken))

    def test_a_failure_of_the_upload_reaches_the_writer(self) -> None:
        def fail(body) -> None:
            body.read(1000)
            raise TransferError("the connection broke", where="image i")

        sink = self.sink(fail)
        with self.assertRaisesRegex(TransferError, "image i: the connection broke, after 1000 bytes"):
            for _ in range(1000):
                sink.write([DATA])

    def test_a_failure_at_the_end_reaches_the_writer(self) -> None:
        def fail(body) -> None:
            self.take(body)
            raise UsageError("no such image")

        sink = self.sink(fail)
        sink.write([b"data"])
        with self.assertRaisesRegex(UsageError, "no such image"):
            sink.finish()

    def test_a_foreign_failure_becomes_one_of_ours(self) -> None:
        def fail(_body) -> None:
            raise ZeroDivisionError

        sink = self.sink(fail)
        with self.assertRaisesRegex(TransferError, "image i: the upload failed: ZeroDivisionError, after 0 bytes"):
            sink.finish()

    def test_a_cloud_that_ends_early_is_no_success(self) -> None:
        sink = self.sink(lambda body: self.taken.extend(body.read(10)))
        sink.write([DATA])
        with self.assertRaisesRegex(TransferError, "ended the upload before all was sent, after 10 bytes"):
            sink.finish()

    def test_an_abandoned_upload_has_no_end(self) -> None:
        ends = []

        def send(body) -> None:
            try:
                self.take(body)
                ends.append("whole")
            except Exception as error:
                ends.append(type(error).__name__)
                raise

        sink = self.sink(send)
        sink.write([DATA])
        sink.abandon()
        sink.abandon()
        self.assertEqual(["_AbandonedError"], ends)

    def test_it_neither_skips_nor_patches(self) -> None:
        sink = self.sink()
        for call in (lambda: sink.skip(1), lambda: sink.patch(0, b"x")):
            with self.assertRaises(io.UnsupportedOperation):
                call()
        self.assertFalse(sink.seekable)
