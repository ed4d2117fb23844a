"""Kubernetes' label selectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.fields import Fields

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels have everything that a plain selector asks for."""
    return selector.items() <= labels.items()


def label_selector_matches(selector: Fields, labels: Mapping[str, str]) -> bool:
    """Whether labels fit `matchLabels` and `matchExpressions`."""
    if not matches(selector.texts("matchLabels"), labels):
        return False
    return all(_expression_matches(expression, labels) for expression in selector.items("matchExpressions"))


def _expression_matches(expression: Fields, labels: Mapping[str, str]) -> bool:
    key, operator = expression.text("key"), expression.text("operator")
    value, values = labels.get(key), expression.words("values")
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    raise expression.error("operator", f"no operator {operator!r}", expected=", ".join(OPERATORS))
