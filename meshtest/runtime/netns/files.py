"""What a pod and the sandbox see of the file system; whatever they write stands on a tmpfs in the sandbox."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.runtime.netns import kernel
from meshtest.runtime.netns.links import RESOLVER

if TYPE_CHECKING:
    from meshtest.runtime.netns.spec import PodSpec

ROOT = Path("/")
RUN = Path("/run/meshtest")
NAMESPACES = RUN / "netns"
XDS_SOCKET = RUN / "xds.sock"
TEMPORARY = RUN / "tmp"
_PODS = RUN / "pods"
_ETC = Path("/etc")
_POD_FILES = ("resolv.conf", "hosts", "hostname")


def prepare() -> None:
    """Give this mount namespace its own /run/meshtest and its own /proc."""
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    if not RUN.is_dir():
        rebuild(RUN.parent)
        RUN.mkdir()
    else:
        _tmpfs(RUN)
    for folder in (NAMESPACES, TEMPORARY, _PODS):
        folder.mkdir()
    _tmpfs(NAMESPACES)
    # A container that masks parts of /proc refuses a fresh one; the outer one does as well.
    with contextlib.suppress(OSError):
        kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV)
    if not all((_ETC / name).exists() for name in _POD_FILES):
        with contextlib.suppress(OSError):
            _complete_etc()


def _tmpfs(target: Path) -> None:
    kernel.mount("meshtest", str(target), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")


def rebuild(folder: Path) -> None:
    """Put a tmpfs over `folder` that shows what was in it: in there, new entries can be made."""
    old = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _tmpfs(folder)
        behind = Path(f"/proc/self/fd/{old}")
        for source in behind.iterdir():
            with contextlib.suppress(OSError):
                _show(source, folder / source.name)
    finally:
        os.close(old)


def rebuild_root() -> None:
    """The same for the root of this mount namespace, which whoever enters it later has as root, too.

    A mount over the root is not seen by who is there already, but by entering the namespace once more.
    """
    namespace = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    old = os.open(ROOT, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _tmpfs(ROOT)
        kernel.setns(namespace, kernel.CLONE_NEWNS)
        os.fchdir(old)
        for source in Path().iterdir():
            with contextlib.suppress(OSError):
                _show(source, ROOT / source.name)
    finally:
        os.chdir(ROOT)
        os.close(old)
        os.close(namespace)


def _show(source: Path, target: Path) -> None:
    mode = source.lstat().st_mode
    if stat.S_ISLNK(mode):
        target.symlink_to(source.readlink())
        return
    if stat.S_ISDIR(mode):
        target.mkdir()
    else:
        target.touch()
    kernel.mount(str(source), str(target), flags=kernel.MS_BIND | kernel.MS_REC)


def _complete_etc() -> None:
    """Let /etc have the files that pods bring their own of, where the host lacks them."""
    upper, work = RUN / "etc", RUN / "etc.work"
    upper.mkdir()
    work.mkdir()
    kernel.mount("overlay", "/etc", "overlay", 0, f"lowerdir=/etc,upperdir={upper},workdir={work},userxattr")
    for name in _POD_FILES:
        if not (_ETC / name).exists():
            (_ETC / name).unlink(missing_ok=True)
            (_ETC / name).touch()


def prepare_pod(spec: PodSpec) -> None:
    """Give this mount namespace a pod's resolv.conf, hosts and hostname, and hide other pods' namespaces."""
    kernel.unmount(str(NAMESPACES))
    folder = _PODS / spec.slug
    folder.mkdir(exist_ok=True)
    for name, text in zip(_POD_FILES, (_resolv_conf(spec), _hosts(spec), f"{spec.hostname}\n"), strict=True):
        source = folder / name
        source.write_text(text)
        with contextlib.suppress(OSError):
            kernel.mount(str(source), str(_ETC / name), flags=kernel.MS_BIND)


def _resolv_conf(spec: PodSpec) -> str:
    domains = f"{spec.namespace}.svc.cluster.local svc.cluster.local cluster.local"
    return f"search {domains}\nnameserver {RESOLVER}\noptions ndots:5\n"


def _hosts(spec: PodSpec) -> str:
    full = f"{spec.hostname}.{spec.subdomain}.{spec.namespace}.svc.cluster.local " if spec.subdomain else ""
    lines = ["127.0.0.1 localhost", "::1 localhost", f"{spec.ip} {full}{spec.hostname}"]
    lines += [f"{address} {name}" for name, address in spec.hosts.items()]
    return "\n".join(lines) + "\n"


def access_log(slug: str) -> Path:
    """The pipe that a pod's sidecar writes its access log to."""
    return RUN / f"{slug}.access"


def bootstrap(slug: str) -> Path:
    """The file that holds a sidecar's bootstrap."""
    return RUN / f"{slug}.json"


def namespace_file(slug: str) -> Path:
    """Where a pod's network namespace can be opened."""
    return NAMESPACES / slug
