"""The trust domain of MeshConfig is the one of every identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

BOOKINFO = "fixtures/bookinfo"
IDENTITY = "spiffe://td.test/ns/default/sa/bookinfo-productpage"
ONLY_PRODUCTPAGE = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: details}
spec:
  selector: {matchLabels: {app: details}}
  rules: [{from: [{source: {principals: [PRINCIPAL]}}]}]
"""


@pytest.mark.mesh(BOOKINFO, mesh_config={"trustDomain": "td.test"})
def test_identities_and_principals_are_of_the_trust_domain(mesh: Mesh) -> None:
    one = mesh.request("productpage-v1", "http://details:9080/")
    assert (one.status, one.peer_identity) == (200, IDENTITY)
    mesh.apply(ONLY_PRODUCTPAGE.replace("PRINCIPAL", IDENTITY.removeprefix("spiffe://")))
    assert mesh.request("productpage-v1", "http://details:9080/").status == 200
    mesh.apply(ONLY_PRODUCTPAGE.replace("PRINCIPAL", "other.test/ns/default/sa/bookinfo-productpage"))
    assert mesh.request("productpage-v1", "http://details:9080/").status == 403
