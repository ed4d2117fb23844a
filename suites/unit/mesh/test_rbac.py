from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.mesh.manifests import load_text
from meshtest.mesh.rbac import readers_of_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]

ACCOUNTS = {("shop", "cart"), ("shop", "till"), ("other", "cart")}
CART, EVERYBODY = {("shop", "cart")}, {("shop", "cart"), ("shop", "till")}
BINDING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: %s
metadata: {name: binding, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: %s, name: reader}
subjects: [%s]
---
"""


def role(kind: str = "Role", rule: str = "apiGroups: [''], resources: [secrets], verbs: [get, list]") -> str:
    head = f"apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\n"
    return f"{head}metadata: {{name: reader, namespace: shop}}\nrules: [{{{rule}}}]\n---\n"


def bound(subject: str, kind: str = "RoleBinding", to: str = "Role") -> str:
    return BINDING % (kind, to, subject)


ACCOUNT = "{kind: ServiceAccount, name: cart}"


@pytest.mark.parametrize(
    ("text", "readers"),
    [
        (role() + bound(ACCOUNT), CART),
        (role() + bound("{kind: ServiceAccount, name: cart, namespace: other}"), set()),
        (role() + bound("{kind: User, name: 'system:serviceaccount:shop:cart'}"), CART),
        (role() + bound("{kind: Group, name: 'system:serviceaccounts:shop'}"), EVERYBODY),
        (role("ClusterRole") + bound(ACCOUNT, to="ClusterRole"), CART),
        (role("ClusterRole") + bound(ACCOUNT), set()),
        (
            role("ClusterRole")
            + bound("{kind: Group, name: 'system:authenticated'}", "ClusterRoleBinding", "ClusterRole"),
            ACCOUNTS,
        ),
        (role(rule="apiGroups: ['*'], resources: ['*'], verbs: ['*']") + bound(ACCOUNT), CART),
        (role(rule="apiGroups: [''], resources: [secrets], verbs: [get]") + bound(ACCOUNT), set()),
        (role(rule="apiGroups: [''], resources: [pods], verbs: [list]") + bound(ACCOUNT), set()),
        (
            role(rule="apiGroups: [''], resources: [secrets], verbs: [list], resourceNames: [a]")
            + bound(ACCOUNT),
            set(),
        ),
        (bound(ACCOUNT), set()),
    ],
    ids=[
        "role",
        "namespace",
        "user",
        "group",
        "cluster-role",
        "kinds",
        "everywhere",
        "any",
        "get",
        "pods",
        "one",
        "none",
    ],
)
def test_who_may_list_the_secrets_of_a_namespace(text: str, readers: set[tuple[str, str]]) -> None:
    assert readers_of_secrets(load_text(text, "rbac.yaml"), ACCOUNTS) == readers


def test_roles_are_kept_from_istiod(build: Build) -> None:
    model = build(role() + bound(ACCOUNT))
    assert not model.passed_over
    assert not [body for body in model.objects if "rbac" in body["apiVersion"]]
