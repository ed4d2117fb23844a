"""What AUDIT policies noticed, kept apart: the filters of DENY and ALLOW, which come later, would write over it.

Envoy puts the result of an RBAC filter of HTTP under names that begin with the prefix of its statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2

from meshtest.mesh.names import AUDITED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envoy.extensions.filters.network.http_connection_manager.v3 import (
        http_connection_manager_pb2 as hcm_pb2,
    )


def keep_apart(filters: Iterable[hcm_pb2.HttpFilter]) -> None:
    """Have filters that audit write under names of their own."""
    for each in filters:
        config = each.typed_config
        if config.Is(http_rbac_pb2.RBAC.DESCRIPTOR):
            found = http_rbac_pb2.RBAC.FromString(config.value)
            if found.HasField("rules") and found.rules.action == rbac_pb2.RBAC.LOG:
                found.rules_stat_prefix = AUDITED
                config.value = found.SerializeToString(deterministic=True)
