"""Bytes leave in order; what cannot be done on a pipe is refused."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import threading
import unittest.mock

import ddt

from tests.base import TestCase
from xenimage.exceptions import TransferError
from xenimage.sinks.pipe import PipeSink

CONTENT = bytes(range(256)) * 4000


@ddt.ddt
class PipeSinkTest(TestCase):
    def pipe(self):
        reading, writing = os.pipe()
        ends = [os.fdopen(reading, "rb"), os.fdopen(writing, "wb", buffering=0)]
        for end in ends:
            self.addCleanup(end.close)
        return ends

    @ddt.data(("md5", "sha256", "sha512"), ("sha256",), ())
    def test_sends_everything_in_order(self, names):
        reading, writing = self.pipe()
        received = []
        reader = threading.Thread(target=lambda: received.append(reading.read()))
        reader.start()
        sink = PipeSink(writing.fileno(), "standard output", names)
        sink.write([CONTENT[:1], memoryview(CONTENT)[1:500_000], b"", bytearray(CONTENT[500_000:])])
        writing.close()
        reader.join()
        self.assertEqual([CONTENT], received)
        self.assertEqual(len(CONTENT), sink.size)
        self.assertEqual({name: hashlib.new(name, CONTENT).hexdigest() for name in names}, sink.digests())

    def test_a_short_write_is_continued(self):
        sent = []

        def write(_file, data):
            sent.append(bytes(data[:3]))
            return len(sent[-1])

        with unittest.mock.patch("os.write", write):
            PipeSink(1, "pipe", ()).write([b"abcdefgh", b"ij"])
        self.assertEqual([b"abc", b"def", b"gh", b"ij"], sent)

    def test_a_pipe_that_does_not_block_is_waited_for(self):
        reading, writing = self.pipe()
        os.set_blocking(writing.fileno(), False)
        received = []
        reader = threading.Thread(target=lambda: received.append(reading.read()))
        sink = PipeSink(writing.fileno(), "pipe", ())
        sink.write([CONTENT[:1000]])
        reader.start()
        sink.write([CONTENT[1000:]])
        writing.close()
        reader.join()
        self.assertEqual([CONTENT], received)

    def test_a_reader_that_went_away(self):
        reading, writing = self.pipe()
        reading.close()
        with self.assertRaises(BrokenPipeError):
            PipeSink(writing.fileno(), "pipe", ()).write([b"abc"])

    def test_a_full_disk_behind_the_redirection(self):
        descriptor = os.open("/dev/full", os.O_WRONLY)
        self.addCleanup(os.close, descriptor)
        with self.assertRaises(TransferError) as caught:
            PipeSink(descriptor, "standard output", ()).write([b"abc"])
        self.assertEqual(
            "standard output: cannot be written: no space left on device, after 0 bytes", str(caught.exception)
        )
        self.assertEqual(0, caught.exception.done)

    def test_tells_how_far_it_got(self):
        error = OSError(errno.EIO, "Input/output error")
        with (
            unittest.mock.patch("os.write", side_effect=[4, error]),
            self.assertRaisesRegex(TransferError, "after 4 bytes") as caught,
        ):
            PipeSink(1, "pipe", ()).write([b"abcdef"])
        self.assertEqual(4, caught.exception.done)

    def test_cannot_go_back(self):
        sink = PipeSink(1, "pipe", ())
        self.assertFalse(sink.seekable)
        with self.assertRaises(io.UnsupportedOperation):
            sink.skip(1)
        with self.assertRaises(io.UnsupportedOperation):
            sink.patch(0, b"x")
