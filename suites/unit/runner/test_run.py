from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from meshtest.envoy.pki import Authorities
from meshtest.runner.run import request_of
from meshtest.scenario import load
from meshtest.traffic.model import ClientTls, Protocol, Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


ISSUED = Authorities().issue("spiffe://x")


class Issuer:
    """The part of a mesh that a request may need."""

    def issue(self, identity: str) -> dict[str, str]:
        assert identity == "spiffe://x"
        return {"certificate": ISSUED.certificate, "key": ISSUED.key}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Request]:
    """The driver's request for what a scenario writes."""

    def of(request: str) -> Request:
        (tmp_path / "mesh.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
        path = tmp_path / "a.mesh.yaml"
        path.write_text(
            "apiVersion: meshtest.dev/v1\nkind: Scenario\nmetadata: {name: a}\nspec:\n  manifests: [mesh.yaml]\n"
            f"  traffic: {{from: a, request: {request}}}\n  expect: [status: 200]\n"
        )
        (scenario,) = load(path)
        return request_of(cast("Any", Issuer()), scenario.traffic[0])

    return of


def test_a_plain_request(written: Any) -> None:
    request = written('{url: "http://b:80/x", method: POST, headers: {a: b}, body: text, timeout: 2s}')
    assert request == Request(
        url="http://b:80/x",
        method="POST",
        headers=(("a", "b"),),
        body=b"text",
        timeout=2.0,
        protocol=Protocol.HTTP,
    )


@pytest.mark.parametrize(
    ("tls", "wanted"),
    [
        ("{serverName: c}", ClientTls(server_name="c")),
        ("{alpn: [h2]}", ClientTls(alpn=("h2",))),
        ("{alpn: []}", ClientTls(alpn=())),
        ("{identity: 'spiffe://x'}", ClientTls(certificate=ISSUED.certificate, key=ISSUED.key)),
    ],
    ids=["name", "alpn", "no-alpn", "identity"],
)
def test_tls_of_the_caller(written: Any, tls: str, wanted: ClientTls) -> None:
    request = written(f'{{url: "https://b/", tls: {tls}}}')
    assert request.protocol is Protocol.HTTPS
    assert request.tls == wanted
    assert request.tls.key == wanted.key
