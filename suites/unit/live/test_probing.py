"""Programs of this machine are probed as images are, on a real mesh of netns."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.live.mesh import Mesh
from meshtest.live.readiness import Readiness
from meshtest.runtime.netns.runtime import NetnsRuntime
from meshtest.waiting import wait_until
from suites.unit.two import FRONT, SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANIFEST = (
    SERVICE
    + """
apiVersion: apps/v1
kind: Deployment
metadata: {name: back}
spec:
  selector: {matchLabels: {app: back}}
  template:
    metadata: {labels: {app: back}}
    spec:
      containers:
      - {name: back, image: back, ports: [{containerPort: 8080}], readinessProbe: {PROBE, periodSeconds: 1}}
"""
    + FRONT
)
HTTP = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = 200 if self.path != "/health" or os.path.exists(sys.argv[1]) else 503
        if self.path == "/health" and self.headers["X-From"] != "kubelet":
            status = 400
        self.send_response(status); self.send_header("content-length", "0"); self.end_headers()
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
AS_WRITTEN = 'annotations: {sidecar.istio.io/rewriteAppHTTPProbers: "false"}'
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict}
spec: {mtls: {mode: STRICT}}
"""
HTTP_PROBE = "httpGet: {path: /health, port: 8080, httpHeaders: [{name: X-From, value: kubelet}]}"


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., Mesh]:
    problem = NetnsRuntime().missing()
    if problem is not None:
        pytest.skip(problem)
    (tmp_path / "app.py").write_text(HTTP)

    def of(probe: str, *, rewritten: bool = True) -> Mesh:
        argv = [sys.executable, str(tmp_path / "app.py"), str(tmp_path / "well")]
        text = MANIFEST.replace("PROBE", probe)
        if not rewritten:
            text = text.replace("metadata: {labels", f"metadata: {{{AS_WRITTEN}, labels")
        return Mesh.from_manifests(text, runtime="netns", commands={"default/back": argv})

    return of


def test_a_program_that_falls_ill_gets_no_traffic_until_it_is_well(
    started: Callable[..., Mesh], tmp_path: Path
) -> None:
    well = tmp_path / "well"
    well.touch()
    with started(f"{HTTP_PROBE}, failureThreshold: 1") as mesh:
        assert mesh.request("front", "http://back/").status == 200
        well.unlink()
        wait_until(lambda: mesh.request("front", "http://back/").status == 503, 20, lambda: "still called")
        assert mesh.request("front", "http://back/").hops[0].flags == "UH"
        well.touch()
        wait_until(
            lambda: mesh.request("front", "http://back/").status == 200, 20, lambda: "not called again"
        )


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (HTTP_PROBE, r"\(HTTP GET /health on port 8080\) fails: status 503"),
        ("tcpSocket: {port: 8081}", r"\(a connection to port 8081\) fails: Connection refused"),
        (
            "exec: {command: [sh, -c, echo no; exit 3]}",
            r"\(sh -c echo no; exit 3\) fails: it ended with 3: no",
        ),
        ("grpc: {port: 8081}", r"\(gRPC health on port 8081\) fails: .*refused"),
    ],
    ids=["httpGet", "tcpSocket", "exec", "grpc"],
)
def test_a_program_that_never_gets_ready_says_why(
    started: Callable[..., Mesh], probe: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = Readiness.wait
    monkeypatch.setattr(Readiness, "wait", lambda self, keys, _: wait(self, keys, 5))
    with pytest.raises(RuntimeFailure, match=rf"default/back-0: its readiness probe {said}"):
        started(probe)


@pytest.mark.parametrize("probe", ["tcpSocket: {port: 8080}", "exec: {command: ['true']}"])
def test_other_kinds_of_probes(started: Callable[..., Mesh], probe: str) -> None:
    with started(probe) as mesh:
        wait_until(lambda: mesh.request("front", "http://back/").status == 200, 20, lambda: "no answer")


@pytest.mark.parametrize("rewritten", [True, False])
def test_a_kubelet_whose_probes_nobody_rewrites_is_a_client_without_identity(
    started: Callable[..., Mesh], tmp_path: Path, *, rewritten: bool
) -> None:
    (tmp_path / "well").touch()
    with started(f"{HTTP_PROBE}, failureThreshold: 1", rewritten=rewritten) as mesh:
        assert mesh.request("front", "http://back/").status == 200
        mesh.apply(STRICT)
        if rewritten:
            assert mesh.request("front", "http://back/").status == 200
        else:
            wait_until(
                lambda: mesh.request("front", "http://back/").status == 503, 20, lambda: "still called"
            )
        mesh.delete(STRICT)
        wait_until(lambda: mesh.request("front", "http://back/").status == 200, 20, lambda: "not called")


def test_a_probe_of_a_connection_meets_the_sidecar_alone(started: Callable[..., Mesh]) -> None:
    """istio/istio: tests/integration/pilot/tcp_probe_test.go; nothing listens on the port."""
    with started("tcpSocket: {port: 1234}", rewritten=False) as mesh:
        assert mesh.request("front", "http://back/").status == 200
