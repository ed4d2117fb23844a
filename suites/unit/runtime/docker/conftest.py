"""Meshes of containers for the tests of the docker runtime, where a daemon answers."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import EngineError, RuntimeFailure, Unsupported
from meshtest.live.mesh import Mesh
from meshtest.runtime.docker import image
from meshtest.runtime.docker.runtime import DockerRuntime
from suites.unit.two import EXAMPLE_IMAGE, FRONT, SERVICE, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.runtime.docker.client import Daemon

TWO = SERVICE + running("back", EXAMPLE_IMAGE) + FRONT

APP = """
import http.server, os, pathlib
def said(path):
    kind, _, name = path.strip("/").partition("/")
    if kind == "env":
        return os.environ.get(name, "nothing")
    if kind == "file":
        return oct(os.stat("/" + name).st_mode & 0o7777) + " " + pathlib.Path("/" + name).read_text()
    if kind == "folder":
        return " ".join(sorted(os.listdir("/" + name)))
    if kind == "self":
        return f"{os.getuid()} {os.getcwd()}"
    return "hello from " + os.environ.get("GREETER", "nobody") + " " + " ".join(os.sys.argv[1:])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = said(self.path).encode()
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


@pytest.fixture(scope="session")
def two_manifests() -> str:
    return TWO


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """The daemon; tests are skipped where there is none, or no image and nothing to make it of."""
    runtime = DockerRuntime()
    problem = runtime.missing()
    if problem is not None:
        pytest.skip(problem)
    found = runtime.daemon
    try:
        image.find_or_build(found, lambda _: None)
    except RuntimeFailure as exc:
        if not isinstance(exc, Unsupported) and "cannot be fetched" not in str(exc):
            raise
        pytest.skip(str(exc))
    yield found
    found.close()


@pytest.fixture(scope="session")
def example_program() -> str:
    """An application that says what it finds around itself."""
    return APP


@pytest.fixture(scope="session")
def example(daemon: Daemon) -> Iterator[str]:
    """An application's image, which knows nothing of meshtest; only its base is at hand everywhere."""
    base = image.find_or_build(daemon, lambda _: None)
    context = io.BytesIO()
    dockerfile = (
        f"FROM {base}\nENV GREETER=image\nCOPY app.py /app.py\nCOPY app.py /etc/app/old.conf\n"
        'ENTRYPOINT ["python3", "/app.py"]\nCMD ["x"]\n'
    )
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, text in {"Dockerfile": dockerfile, "app.py": APP}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    daemon.build(context, EXAMPLE_IMAGE, {})
    yield EXAMPLE_IMAGE
    daemon.remove_image(EXAMPLE_IMAGE)


@pytest.fixture(scope="session")
def two(daemon: Daemon) -> Iterator[Mesh]:
    """Two workloads of stand-ins."""
    del daemon
    with contextlib.ExitStack() as stack:
        try:
            mesh = stack.enter_context(Mesh.from_manifests(TWO, runtime="docker"))
        except EngineError as exc:
            pytest.skip(str(exc))
        yield mesh


@pytest.fixture
def elsewhere(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The daemon, as if on another machine: see `gateway.py`."""
    path = (daemon.host or "unix:///var/run/docker.sock").removeprefix("unix://")
    if not path.startswith("/"):
        pytest.skip("the daemon has no socket here")
    spec = importlib.util.spec_from_file_location("meshtest_gateway", Path(__file__).with_name("gateway.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    gateway = module.Gateway(path)
    monkeypatch.setenv("DOCKER_HOST", gateway.url)
    yield gateway
    gateway.cut()
