"""What bounds the child: the kernel's limits, and the life of the thread that started it."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from xenimage.confinement import die_with_parent, lower
from xenimage.glance.errors import UnusableError

if TYPE_CHECKING:
    from xenimage.glance.request import Request

_FILES = 64
"""descriptors: the source, the result, the pipes, a few of the interpreter"""


def confine(request: Request) -> None:
    """Give up what is not needed, and live no longer than the parent.

    :raises UnusableError: the parent is gone already, or is none of ours.
    """
    try:
        die_with_parent(request.parent)
    except ChildProcessError as error:
        raise UnusableError(f"{error}: worker must be the program itself") from error
    except OSError as error:
        raise UnusableError(str(error)) from error
    settings = request.settings
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_NOFILE, _FILES)
    lower(resource.RLIMIT_AS, settings.memory)
    lower(resource.RLIMIT_CPU, settings.cpu_time)
    if settings.max_output_size is not None:
        limit_output(settings.max_output_size)


def limit_output(size: int) -> None:
    """Let no file grow beyond *size* bytes."""
    lower(resource.RLIMIT_FSIZE, size)
