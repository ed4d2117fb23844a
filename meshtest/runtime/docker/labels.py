"""Whose a resource is: the labels of a run, and whether its owner is still alive.

An owner is a process: machine, boot, PID namespace, PID and start time. Of another machine's or another namespace's
processes nothing is known, so what they own is never taken for dead.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN = "meshtest.run"
OWNER = "meshtest.owner"
POD = "meshtest.pod"
PART = "meshtest.part"
IMAGE = "meshtest.image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The process that made a resource."""

    machine: str
    boot: str
    space: str
    """Its PID namespace."""
    pid: int
    started: str

    def __str__(self) -> str:
        return " ".join((self.machine, self.boot, self.space, str(self.pid), self.started))

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """What a label says; None for a label of somebody else's making."""
        parts = text.split(" ")
        if len(parts) != 5 or not parts[3].isdigit():
            return None
        return cls(machine=parts[0], boot=parts[1], space=parts[2], pid=int(parts[3]), started=parts[4])

    @classmethod
    def current(cls) -> Owner:
        """The process that asks."""
        machine, boot, space = _here()
        return cls(machine=machine, boot=boot, space=space, pid=os.getpid(), started=start_time(os.getpid()))

    def dead(self) -> bool:
        """Whether it has ended for sure."""
        machine, boot, space = _here()
        if machine != self.machine:
            return False
        if boot != self.boot:
            return True
        return space == self.space and start_time(self.pid) != self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One sandbox, and everything that belongs to it."""

    name: str
    owner: Owner

    @classmethod
    def new(cls) -> Run:
        """A run of this process."""
        return cls(name=f"meshtest-{secrets.token_hex(4)}", owner=Owner.current())

    @property
    def labels(self) -> Mapping[str, str]:
        """What every resource of it carries."""
        return {RUN: self.name, OWNER: str(self.owner)}


def _here() -> tuple[str, str, str]:
    boot = _read("/proc/sys/kernel/random/boot_id") or _command("sysctl", "-n", "kern.boottime")
    space = ""
    with contextlib.suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
    # Two containers of one machine have the same boot, and perhaps the same name, but not the same PID namespace.
    return (_read("/etc/machine-id") or platform.node() or "-", _word(boot), _word(space))


def start_time(pid: int) -> str:
    """When a process was started, in whatever words the system has for it; `-` for none that runs."""
    stat = _read(f"/proc/{pid}/stat")
    if stat:
        fields = stat.rpartition(")")[2].split()
        return "-" if fields[0] in {"Z", "X"} else fields[19]
    if Path("/proc/self/stat").exists():
        return "-"
    return _word(_command("ps", "-o", "lstart=", "-p", str(pid)))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _command(*argv: str) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _word(text: str) -> str:
    return "_".join(text.split()) or "-"
