"""The few system calls that Python 3.11 does not offer: namespaces, mounts and process attributes."""

from __future__ import annotations

import ctypes
import functools
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 2
MS_NODEV = 4
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move this process (for PID: its children) into new namespaces."""
    _check(_libc().unshare(flags), "unshare")


def setns(descriptor: int, kind: int = 0) -> None:
    """Enter a namespace that is open as `descriptor`."""
    _check(_libc().setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system, or show one at a second place (mount(2))."""
    arguments = (text.encode() or None for text in (source, target, kind))
    _check(_libc().mount(*arguments, ctypes.c_ulong(flags), options.encode() or None), f"mount {target}")


def unmount(target: str) -> None:
    """Take a mount away, with all below it, however busy."""
    _check(_libc().umount2(target.encode(), MNT_DETACH), f"umount {target}")


def set_hostname(name: str) -> None:
    """Set the name of this UTS namespace."""
    raw = name.encode()
    _check(_libc().sethostname(raw, len(raw)), "sethostname")


def die_with_parent(signal: int) -> None:
    """Ask for `signal` when the thread that made this process ends; lost on changes of credentials."""
    _check(_libc().prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl")


def set_process_name(name: str) -> None:
    """What ps shows in its short form."""
    _check(_libc().prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0), "prctl")
