"""Small pieces that strategies of manifests are made of."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Object = dict[str, Any]
TIME = "2026-01-01T00:00:00Z"
"""All objects are of one age, so that which is the oldest depends on nothing."""


def made(version: str, kind: str, name: str, namespace: str, spec: Object, **metadata: Any) -> Object:
    meta = {"name": name, "namespace": namespace, "creationTimestamp": TIME, **metadata}
    return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec}


def pick(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def some(strategy: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, min_size=1, max_size=most)


def maybe(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    """Any of these keys, none or all of them."""
    return st.fixed_dictionaries({}, optional=keys)


def one_of(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    """One of these keys."""
    return st.one_of([st.fixed_dictionaries({name: value}) for name, value in keys.items()])


def full(host: str) -> str:
    """A Service of namespace `one` by its full name; other hosts as they are."""
    return host if "." in host or host == "*" else f"{host}.one.svc.cluster.local"
