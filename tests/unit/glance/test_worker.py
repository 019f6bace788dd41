"""What the child says of what went wrong."""

from __future__ import annotations

import errno

import ddt

from tests.base import TestCase
from xenimage.glance import worker


@ddt.ddt
class ExcuseTest(TestCase):
    """A limit on memory strikes wherever memory is asked for, also outside of the interpreter's own."""

    @ddt.data(
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        ImportError("zstandard/backend_c.so: failed to map segment from shared object"),
        ImportError("libz.so.1: cannot apply additional memory protection after relocation: Cannot allocate memory"),
    )
    def test_no_memory(self, error):
        self.assertEqual(worker.OUT_OF_MEMORY, worker._excuse(error)["refused"])

    @ddt.data(OSError(errno.EIO, "Input/output error"), ImportError("No module named 'isal'"), ValueError("x"))
    def test_others_are_faults_of_the_server(self, error):
        self.assertIn(str(error), worker._excuse(error)["failed"])
