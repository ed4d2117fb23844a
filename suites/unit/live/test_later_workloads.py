"""Programs for workloads that come after the mesh has started, on a real mesh of netns."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from meshtest.live.mesh import Mesh
from meshtest.runtime.netns.runtime import NetnsRuntime
from suites.unit.two import FRONT, SERVICE, running

if TYPE_CHECKING:
    from pathlib import Path

BACK = running("back", "back")
PROGRAM = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "4"); self.end_headers(); self.wfile.write(b"mine")
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def test_a_program_may_be_named_before_its_workload_is_there(tmp_path: Path) -> None:
    problem = NetnsRuntime().missing()
    if problem is not None:
        pytest.skip(problem)
    (tmp_path / "app.py").write_text(PROGRAM)
    argv = [sys.executable, str(tmp_path / "app.py")]
    with Mesh.from_manifests(SERVICE, FRONT, runtime="netns", commands={"default/back": argv}) as mesh:
        assert "default/back" in mesh.options.applications.commands
        mesh.apply(BACK)
        assert mesh.request("front", "http://back/").body == b"mine"


def test_a_name_that_nothing_has_is_told() -> None:
    problem = NetnsRuntime().missing()
    if problem is not None:
        pytest.skip(problem)
    with Mesh.from_manifests(
        SERVICE, FRONT, runtime="netns", commands={"default/bakc": ["sleep", "1"]}
    ) as mesh:
        (told,) = [each for each in mesh.notices if each.code == "name"]
        assert (
            str(told)
            == "warning [name]: commands.default/bakc: no workload or service 'default/bakc' in the mesh"
        )
