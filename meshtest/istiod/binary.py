"""Where the engine's binary comes from: given, installed, cached, or else built here once.

    MESHTEST_ISTIOD ──► package meshtest_istiod ──► ~/.cache/meshtest/istiod/<hash of source>/ ──► go build

The first of these that there is, wins.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.errors import EngineError
from meshtest.istiod.build import Toolchain, build, find_go
from meshtest.waiting import Timeouts, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Progress = Callable[[str], object]

NAME = "meshtest-istiod"
SOURCE = Path(__file__).parent / "go"
VARIABLE = "MESHTEST_ISTIOD"
PACKAGE = "meshtest_istiod"
MODULE_FILES = frozenset({"go.mod", "go.sum"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where to look; the defaults are this machine's."""

    environ: Mapping[str, str]
    source: Path = SOURCE
    package: str = PACKAGE
    go: Callable[[Path], Toolchain] = find_go


def find_or_build(progress: Callable[[str], object], *, places: Places | None = None) -> Path:
    """The engine's binary; building it takes minutes, and `progress` is told what goes on."""
    places = places or Places(environ=os.environ)
    return find(places=places) or _built(places, progress)


def find(*, places: Places | None = None) -> Path | None:
    """The engine's binary where none has to be built for it."""
    places = places or Places(environ=os.environ)
    return given(places) or installed(places.package) or cached(places)


def given(places: Places) -> Path | None:
    """What MESHTEST_ISTIOD names."""
    named = places.environ.get(VARIABLE)
    if not named:
        return None
    path = Path(named)
    if not path.is_file() or not os.access(path, os.X_OK):
        raise EngineError(f"{VARIABLE}={named} is not a program; unset it, or name a built {NAME}")
    return path


def installed(package: str) -> Path | None:
    """The binary of the installed wheel."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "bin" / NAME
        if path.is_file():
            return path
    return None


def source_hash(source: Path) -> str:
    """A name for the source: another source is another binary."""
    digest = hashlib.sha256()
    for path in source_files(source):
        digest.update(f"{path.relative_to(source).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def source_files(source: Path) -> list[Path]:
    """What the binary is made of, without what crdgen writes there when a developer runs it in place."""
    return sorted(path for path in source.rglob("*") if path.suffix == ".go" or path.name in MODULE_FILES)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """A folder of the user's that can be written."""
    home = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or "/nonexistent") / ".cache"
    folder = Path(home) / "meshtest" / "istiod"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    # Users without a home, as `nobody`. What another user put there first is not run.
    fallback = Path(tempfile.gettempdir()) / f"meshtest-{os.getuid()}"
    fallback.mkdir(mode=0o700, exist_ok=True)
    if fallback.is_symlink() or fallback.stat().st_uid != os.getuid():
        raise EngineError(f"{fallback} belongs to another user; set XDG_CACHE_HOME to a folder of yours")
    return fallback


def cached(places: Places) -> Path | None:
    """The binary that was built here before."""
    binary = _home(places) / NAME
    return binary if binary.is_file() else None


def _home(places: Places) -> Path:
    return cache_folder(places.environ) / source_hash(places.source)


def _built(places: Places, progress: Progress) -> Path:
    folder = _home(places)
    binary = folder / NAME
    go = places.go(places.source)  # says what to install, before anything is waited for
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "lock", progress):
        if not binary.is_file():  # else another process has built it meanwhile
            _build_into(binary, go, places, progress)
    return binary


@contextlib.contextmanager
def _alone(lock: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock file; the kernel releases it when the process ends, however it ends."""
    with lock.open("w") as file:

        def taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not taken():
            progress("another process is building the istiod engine; waiting for it")
            limit = Timeouts().engine_build
            wait_until(taken, limit, lambda: f"another process still holds {lock}", step=0.1)
        yield


def _build_into(binary: Path, go: Toolchain, places: Places, progress: Progress) -> None:
    # A copy of the source: the package's own folder may be read-only, and the build writes beside the source.
    with tempfile.TemporaryDirectory(prefix="meshtest-istiod-") as work:
        for path in source_files(places.source):
            copy = Path(work) / path.relative_to(places.source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        made = build(go, Path(work), NAME, environ=places.environ, cache=binary.parent, progress=progress)
        part = binary.with_name(f"{NAME}.{os.getpid()}.part")
        try:
            shutil.copyfile(made, part)
            part.chmod(0o755)
            part.replace(binary)  # whole or not at all, for whoever looks without the lock
        finally:
            part.unlink(missing_ok=True)
