"""Whether this machine lets an ordinary user make namespaces, and what to change if not."""

from __future__ import annotations

from pathlib import Path

ELSE = "or use the docker runtime (--mesh-runtime=docker)"
_SWITCHES = (
    ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
    ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)
_PROC = Path("/proc")


def plainly_allowed(proc: Path = _PROC) -> bool:
    """Whether nothing speaks against it: no switch is off, no seccomp filter of a container in the way."""
    off = any(_read(proc / "sys" / name) == forbidding for name, forbidding, _ in _SWITCHES)
    return not off and "Seccomp:\t0" in _read(proc / "self" / "status")


def advice(problem: str, proc: Path = _PROC) -> str:
    """Say what keeps this machine from running sandboxes, and what to change."""
    reason = (problem.strip().splitlines() or ["unknown"])[-1]
    for name, forbidding, change in _SWITCHES:
        if _read(proc / "sys" / name) == forbidding:
            return f"unprivileged user namespaces are switched off ({reason}): as root, {change}; {ELSE}"
    return (
        f"the namespaces of a sandbox cannot be made ({reason}): run as root, or in a container with "
        f"--security-opt seccomp=unconfined --cap-add SYS_ADMIN --cap-add NET_ADMIN; {ELSE}"
    )


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
