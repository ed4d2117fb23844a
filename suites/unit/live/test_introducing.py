"""What the control plane's server is told before any Envoy asks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.live.introducing import introduction
from meshtest.mesh.authority import PluggedAuthority
from meshtest.mesh.proxy_config import TAKES_ROOTS

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel


def test_every_envoy_is_named_and_only_those_that_ask_get_further_roots(model: MeshModel) -> None:
    first, *others = [pod for pod in model.pods if pod.has_envoy]
    asks = replace(first, proxy_config={TAKES_ROOTS: True})
    told = introduction(replace(model, pods=[asks, *others], further_roots="ROOTS"))
    assert others
    assert {each["id"]: each["roots"] for each in told["proxies"]} == {
        asks.node_id: "ROOTS",
        **{pod.node_id: "" for pod in others},
    }
    assert told["authority"] is None


def test_the_plugged_authority_is_told(model: MeshModel) -> None:
    given = PluggedAuthority(certificate="c", key="k", chain="b", root="r")
    told = introduction(replace(model, authority=given))["authority"]
    assert told == {"certificate": "c", "key": "k", "chain": "b", "root": "r", "revoked": ""}
