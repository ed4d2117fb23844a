"""The first process of a sandbox: enters new namespaces, forks the supervisor into them, waits for its end.

It dies with the thread that started it, the supervisor dies with it, and the kernel ends what is left: the
supervisor is PID 1 of everything else.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.runtime.netns import kernel

if TYPE_CHECKING:
    from typing import NoReturn

_NAMESPACES = (
    kernel.CLONE_NEWNET | kernel.CLONE_NEWPID | kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC
)
_DESCRIPTORS = 65536
NOT_ALLOWED = 77
"""Status of a launcher that may not make namespaces."""


def main(arguments: list[str]) -> NoReturn:
    """Run with `probe`, or with the numbers of four sockets and the targets of roles.

    The sockets lead to the supervisor (requests, then descriptors), the control plane and the driver.
    """
    kernel.die_with_parent(signal.SIGKILL)
    try:
        isolate()
    except OSError as exc:
        os.write(2, f"{exc}\n".encode())
        os._exit(NOT_ALLOWED)
    kernel.die_with_parent(signal.SIGKILL)  # lost on the way into the user namespace
    alive, held = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        kernel.die_with_parent(signal.SIGKILL)
        os.close(held)
        _supervise(arguments, alive)
    for descriptor in (alive, *map(int, filter(str.isdigit, arguments[:4]))):
        os.close(descriptor)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0x7F)


def _supervise(arguments: list[str], alive: int) -> NoReturn:
    try:
        if arguments == ["probe"]:
            from meshtest.runtime.netns.probe import report  # noqa: PLC0415 - the other half of this program

            report()
            os._exit(0)
        from meshtest.runtime.netns.supervisor import run  # noqa: PLC0415 - as above

        run([int(number) for number in arguments[:4]], arguments[4:], alive)
    except BaseException:  # noqa: BLE001 - the outermost frame; what it prints is the reason that pytest shows
        import traceback  # noqa: PLC0415 - only a supervisor that fails needs it

        traceback.print_exc()
    os._exit(1)


def isolate() -> None:
    """Move into new namespaces: with a user namespace, where it can be had; root can do without."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    uid, gid = os.geteuid(), os.getegid()
    try:
        kernel.unshare(kernel.CLONE_NEWUSER | _NAMESPACES)
        _map_ids(uid, gid)
    except OSError as exc:
        if uid != 0:
            raise
        with contextlib.suppress(OSError):
            kernel.unshare(_NAMESPACES)
            return
        raise exc from None


def _map_ids(uid: int, gid: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")


if __name__ == "__main__":
    main(sys.argv[1:])
