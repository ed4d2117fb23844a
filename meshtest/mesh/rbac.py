"""Who may read the Secrets of a namespace: istiod asks so before it hands one to a sidecar.

(Cluster)RoleBinding ──► (Cluster)Role with `list` on `secrets`. A gateway may always, as Istio's charts have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.mesh.fields import fields_of
from meshtest.mesh.kinds import RBAC, group_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from meshtest.mesh.fields import Fields
    from meshtest.mesh.model import Manifest

ANY = "*"
Account = tuple[str, str]
"""Namespace and name."""


def readers_of_secrets(manifests: Iterable[Manifest], accounts: Collection[Account]) -> set[Account]:
    """The service accounts that may list the Secrets of their own namespace."""
    rules = [one for one in manifests if group_of(one.ref.api_version) == RBAC]
    allowing = {
        (one.ref.kind, one.ref.namespace, one.ref.name)
        for one in rules
        if one.ref.kind.endswith("Role") and _lists_secrets(fields_of(one))
    }
    found: set[Account] = set()
    for binding in (one for one in rules if one.ref.kind.endswith("RoleBinding")):
        top = fields_of(binding)
        role = top.mapping("roleRef")
        namespace = "" if role.text("kind") == "ClusterRole" else binding.ref.namespace
        if (role.text("kind"), namespace, role.text("name")) in allowing:
            bound = (one for one in accounts if _is_meant(one, top, binding.ref.namespace))
            found |= {one for one in bound if binding.ref.namespace in ("", one[0])}
    return found


def _lists_secrets(role: Fields) -> bool:
    wanted = {"apiGroups": "", "resources": "secrets", "verbs": "list"}
    return any(
        all({word, ANY} & set(rule.words(key)) for key, word in wanted.items())
        and not rule.words("resourceNames")
        for rule in role.items("rules")
    )


def _is_meant(account: Account, binding: Fields, namespace: str) -> bool:
    return any(name in _names(account) for name in _subjects(binding.items("subjects"), namespace))


def _subjects(subjects: Iterable[Fields], namespace: str) -> Iterator[tuple[str, str]]:
    for subject in subjects:
        kind, name = subject.text("kind"), subject.text("name")
        where = subject.text("namespace") or namespace
        yield (kind, f"{where}/{name}") if kind == "ServiceAccount" else (kind, name)


def _names(account: Account) -> Mapping[tuple[str, str], None]:
    """What a service account is called as a subject."""
    namespace, name = account
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return dict.fromkeys(
        [
            ("ServiceAccount", f"{namespace}/{name}"),
            ("User", f"system:serviceaccount:{namespace}:{name}"),
            *(("Group", group) for group in groups),
        ]
    )
