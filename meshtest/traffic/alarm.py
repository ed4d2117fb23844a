"""A timer that is on time: the event loop's own rounds up to the next millisecond of epoll."""

from __future__ import annotations

import asyncio
import ctypes
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_NANO = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """Calls back after a time, to some ten microseconds (timerfd; os.timerfd_create is Python 3.13+)."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"timerfd_create: {os.strerror(number)}")
        self._ring = ring
        asyncio.get_running_loop().add_reader(self._fd, self._rung)

    def set(self, seconds: float) -> None:
        """Ring once, this much later."""
        whole, part = divmod(max(1, int(seconds * _NANO)), _NANO)
        when = _Itimerspec(_Timespec(0, 0), _Timespec(whole, part))
        self._libc.timerfd_settime(self._fd, 0, ctypes.byref(when), None)

    def close(self) -> None:
        """Never ring again."""
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _rung(self) -> None:
        os.read(self._fd, 8)
        self._ring()
