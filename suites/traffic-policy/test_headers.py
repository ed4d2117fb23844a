"""Headers that a VirtualService changes: of a rule and of each destination, on the way there and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.checks.statistics import window

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/shop")

CLIENT, URL = "shop/orders", "http://catalog/books"
SENT = {"x-set": "old", "x-add": "1", "x-gone": "1", "x-kept": "1"}
ANSWER = {"x-echo-set-header": "x-set:old,x-add:1,x-gone:1,x-kept:1"}
"""What the stand-in is asked to answer with."""
OF_THE_RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - headers:
        request: {set: {x-set: new}, add: {x-add: "2", x-new: "%REQ(:PATH)%"}, remove: [x-gone]}
        response: {set: {x-set: new}, add: {x-add: "2", x-new: "%RESPONSE_CODE%"}, remove: [x-gone]}
      route: [{destination: {host: catalog-v1}}]
"""
OF_THE_DESTINATION = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - route:
        - destination: {host: catalog-v1}
          headers:
            request: {set: {x-set: new}, add: {x-add: "2", x-new: "%REQ(:PATH)%"}, remove: [x-gone]}
            response: {set: {x-set: new}, add: {x-add: "2", x-new: "%RESPONSE_CODE%"}, remove: [x-gone]}
"""
OF_EACH_DESTINATION = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec:
  hosts: [catalog]
  http:
    - headers: {request: {set: {x-rule: all}}}
      route:
        - destination: {host: catalog-v1}
          weight: 75
          headers: {request: {set: {x-to: v1}}, response: {set: {x-from: v1}}}
        - destination: {host: catalog-v2}
          weight: 25
          headers: {request: {set: {x-to: v2}}, response: {set: {x-from: v2}}}
"""
PLAIN = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: shop}
spec: {hosts: [catalog], http: [{route: [{destination: {host: catalog-v1}}]}]}
"""
NAMES = ("x-set", "x-add", "x-new", "x-gone", "x-kept")


def went(one: Exchange) -> dict[str, str]:
    """What the application received."""
    assert one.backend is not None
    found = one.backend.request.headers
    return {name: ",".join(found[name]) for name in NAMES if name in found}


def came(one: Exchange) -> dict[str, str]:
    """What the caller received."""
    return {name: ",".join(one.headers.all(name)) for name in NAMES if one.headers.all(name)}


def test_without_changes_they_pass(mesh: Mesh) -> None:
    """The twin."""
    mesh.apply(PLAIN)
    one = mesh.request(CLIENT, URL, headers={**SENT, **ANSWER})
    assert went(one) == came(one) == SENT


@pytest.mark.parametrize("policy", [OF_THE_RULE, OF_THE_DESTINATION], ids=["rule", "destination"])
def test_headers_are_set_added_and_removed(mesh: Mesh, policy: str) -> None:
    mesh.apply(policy)
    one = mesh.request(CLIENT, URL, headers={**SENT, **ANSWER})
    assert went(one) == {"x-set": "new", "x-add": "1,2", "x-new": "/books", "x-kept": "1"}
    assert came(one) == {"x-set": "new", "x-add": "1,2", "x-new": "200", "x-kept": "1"}


def test_each_destination_has_its_own(mesh: Mesh) -> None:
    mesh.apply(OF_EACH_DESTINATION)
    found = [one for one in mesh.send(CLIENT, URL, requests=200).exchanges if one.backend]
    told = {
        (one.backend.workload, *one.backend.request.headers["x-to"], one.headers["x-from"])
        for one in found
        if one.backend
    }
    assert told == {("catalog-v1", "v1", "v1"), ("catalog-v2", "v2", "v2")}
    assert all(one.backend and one.backend.request.headers["x-rule"] == ["all"] for one in found)
    assert sum(one.headers["x-from"] == "v2" for one in found) in window(len(found), 0.25)
