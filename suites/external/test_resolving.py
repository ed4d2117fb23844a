"""When a proxy asks again for a name that did not resolve: after a minute, or as MeshConfig says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from meshtest import faults
from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh(
    "../../fixtures/addressing",
    external={"legacy.example.com": {"ports": ["8080/HTTP"], "addresses": ["192.0.2.80"]}},
)

CLIENT, URL, FOREIGN = "client", "http://legacy.example.com:8080/", "198.51.100.7"
ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: legacy}
spec:
  hosts: [legacy.example.com]
  resolution: DNS
  ports: [{number: 8080, name: http, protocol: HTTP}]
"""
OFTEN = "dnsRefreshRate: 1s"
RATES = {"": "60s", OFTEN: "1s"}


def answer(mesh: Mesh) -> tuple[int | None, str]:
    """Of a request whose caller does not need the name."""
    one = mesh.request(CLIENT, URL, address=FOREIGN)
    return one.status, one.hops[0].flags


@pytest.mark.parametrize("config", RATES, ids=["default", "often"])
def test_a_name_is_asked_for_again(mesh: Mesh, config: str) -> None:
    with mesh.inject(faults.dns(host="legacy.example.com", nxdomain=True)):
        mesh.replace(ENTRY, mesh_config=config or None)
        assert answer(mesh) == (503, "UH")
    shown = json.loads(mesh.admin(CLIENT, "/config_dump?resource=dynamic_active_clusters"))["configs"]
    (told,) = [each["cluster"] for each in shown if "legacy.example.com" in each["cluster"]["name"]]
    assert told["dns_refresh_rate"] == RATES[config]
    if config:
        wait_until(lambda: answer(mesh)[0] == 200, 20, lambda: str(answer(mesh)), step=0.1)
    else:
        assert [answer(mesh) for _ in range(20)] == [(503, "UH")] * 20
