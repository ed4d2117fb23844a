"""What Kubernetes allows as names, labels and annotations: each `..._problem` says what is wrong, or None."""

from __future__ import annotations

import hashlib
import re
from typing import Any

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
SERVICE_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?\Z")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")
LONGEST_LABEL = 63
LONGEST_NAME = 253
LONGEST_FILE = 80
"""The path of a socket has 107 bytes at most (unix(7))."""
AUDITED = "meshtest_audit_"
"""What the names begin with under which Envoy notes what AUDIT policies noticed."""
ANY_NAME = frozenset(("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"))  # "system:..." is one


def object_name_problem(kind: str, name: str) -> str | None:
    """Judge `metadata.name` of an object of some kind."""
    if kind in ANY_NAME:
        return None
    if kind == "Namespace":
        return label_problem(name)
    if kind == "Service":
        if not SERVICE_LABEL.match(name) or len(name) > LONGEST_LABEL:
            return f"{name!r} cannot name a Service (lower-case letters, digits and '-', at most 63)"
        return None
    if not SUBDOMAIN.match(name) or len(name) > LONGEST_NAME:
        return f"{name!r} is no DNS-1123 name (lower-case letters, digits, '-' and '.', at most 253)"
    return None


def label_problem(name: str) -> str | None:
    """Judge a DNS-1123 label, as namespaces are."""
    if not LABEL.match(name) or len(name) > LONGEST_LABEL:
        return f"{name!r} is no DNS-1123 label (lower-case letters, digits and '-', at most 63)"
    return None


def text_problem(field: str, key: str, value: Any) -> str | None:
    """Judge an entry of `labels` or `annotations`."""
    if not isinstance(value, str):
        return f"{_as_yaml(value)} is not a text; quote it: {_as_yaml(value)!r}".replace("'", '"')
    prefix, slash, name = key.rpartition("/")
    if (slash and not SUBDOMAIN.match(prefix)) or not QUALIFIED.match(name) or len(name) > LONGEST_LABEL:
        return f"{key!r} cannot be a key of {field}"
    if field == "labels" and value and (not QUALIFIED.match(value) or len(value) > LONGEST_LABEL):
        return f"{value!r} cannot be the value of a label (letters, digits, '-', '_' and '.', at most 63)"
    return None


def _as_yaml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def file_name(key: str) -> str:
    """What the files of the pod `namespace/name` are called."""
    plain = key.replace("/", "_")
    if len(plain) <= LONGEST_FILE:
        return plain
    return f"{plain[: LONGEST_FILE // 2]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
