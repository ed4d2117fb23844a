from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.wire import RemoteError

if TYPE_CHECKING:
    pass


def test_request_crosses_two_sidecars_with_mutual_tls(mesh: Any) -> None:
    status, body, _ = mesh.get("/ratings/0?x=1")
    assert (status, body) == (200, "x" * 10)
    line = mesh.bench.line(mesh.callee)
    assert line["peer"] == "spiffe://cluster.local/ns/default/sa/bob"
