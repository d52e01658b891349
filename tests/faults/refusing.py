"""A process that asks its kernel to refuse it: calls that fail from a moment on, and root without root's right to write anywhere.

Linux alone; what has been asked for stays until the process ends.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Callable

ARCHITECTURES = {
    "x86_64": (0xC000003E, 317, {"write": 1, "pwrite64": 18, "fsync": 74, "fdatasync": 75}),
    "aarch64": (0xC00000B7, 277, {"write": 64, "pwrite64": 68, "fsync": 82, "fdatasync": 83}),
}
"""Machine -> its number in linux/audit.h, that of seccomp(2), those of the calls that write."""

POSSIBLE = sys.platform == "linux" and platform.machine() in ARCHITECTURES

LOAD, EQUAL, GREATER, RETURN = 0x20, 0x15, 0x25, 0x06
"""Of linux/bpf_common.h: load a word; jump if it equals, if it is greater; return."""
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
"""Where linux/seccomp.h has them; the lower half of the argument."""
ALLOW, REFUSE = 0x7FFF0000, 0x00050000


class _Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("if_so", ctypes.c_uint8), ("if_not", ctypes.c_uint8), ("value", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction))]


def let_disk_be_full() -> None:
    """From now on every write to a file fails, in all threads; stdout and stderr are spared."""
    _refuse(("write", "pwrite64"), errno.ENOSPC)


def let_sync_fail() -> None:
    """From now on every fsync fails, SQLite's own too, in all threads."""
    _refuse(("fsync", "fdatasync"), errno.EIO)


FAILURES: dict[str, Callable[[], None]] = {"full": let_disk_be_full, "sync": let_sync_fail}


def _refuse(calls: tuple[str, ...], error: int) -> None:
    machine, seccomp, numbers = ARCHITECTURES[platform.machine()]
    steps = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 0, len(calls) + 3, machine), (LOAD, 0, 0, NUMBER)]
    steps += [(EQUAL, len(calls) - place, 0, numbers[call]) for place, call in enumerate(calls)]
    steps += [(RETURN, 0, 0, ALLOW), (LOAD, 0, 0, FIRST_ARGUMENT), (GREATER, 0, 1, 2), (RETURN, 0, 0, REFUSE | error)]
    steps += [(RETURN, 0, 0, ALLOW)]
    steps[1] = (EQUAL, 0, len(steps) - 3, machine)
    program = _Program(len(steps), (_Instruction * len(steps))(*(_Instruction(*step) for step in steps)))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, filter_mode, all_threads = 38, 1, 1
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.syscall(seccomp, filter_mode, all_threads, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class _Capabilities(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def be_like_others() -> None:
    """Let root be held to the rights of files, as everybody else is."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    held = (_Capabilities * 2)()
    if libc.capget(header, held):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    for kind in ("effective", "permitted"):
        setattr(held[0], kind, getattr(held[0], kind) & ~0b110)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if libc.capset(header, held):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
