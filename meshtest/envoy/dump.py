"""Envoy's resources as JSON, for people who want to read them.

Protobuf's JSON form needs the descriptor of every message that is packed inside; they are imported as they
turn up, since there are a thousand of them.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format
from google.protobuf.any_pb2 import Any as AnyMessage

from meshtest.envoy.resources import TYPE_URLS

_UNKNOWN_TYPE = re.compile(r"message descriptor by type_url: (?:type\.googleapis\.com/)?([\w.]*\w)")


def to_json(kind: str, value: bytes) -> Any:
    """One resource; of a message that nobody describes here only the name is told."""
    message = AnyMessage(type_url=TYPE_URLS[kind], value=value)
    tried: set[str] = set()
    while True:
        try:
            return json_format.MessageToDict(message, preserving_proto_field_name=True)
        except (TypeError, KeyError) as exc:
            name = _unknown(str(exc))
            if name is None or name in tried:
                return {"@type": message.type_url, "problem": str(exc), "size": len(value)}
            tried.add(name)
            import_type(name)
            if not _known(name):
                _leave_blank(name)


def import_type(name: str) -> None:
    """Make the message of a full name, such as envoy.config.cluster.v3.Cluster, known."""
    package = name.rpartition(".")[0]
    try:
        found = importlib.import_module(package)
    except ImportError:
        return
    for module in pkgutil.iter_modules(getattr(found, "__path__", ())):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{package}.{module.name}")


def _known(name: str) -> bool:
    try:
        descriptor_pool.Default().FindMessageTypeByName(name)
    except KeyError:
        return False
    return True


def _leave_blank(name: str) -> None:
    """Make a message known without its fields: some exist in Istio's own Envoy build only."""
    package, _, own = name.rpartition(".")
    blank = descriptor_pb2.FileDescriptorProto(
        name=f"meshtest/{name}.proto", package=package, syntax="proto3"
    )
    blank.message_type.add(name=own)
    descriptor_pool.Default().Add(blank)


def _unknown(problem: str) -> str | None:
    found = _UNKNOWN_TYPE.search(problem)
    return found[1] if found else None
