"""Hands a result to Allure, where allure-pytest is installed and `--alluredir` is given.

Called within the test's call phase; the status of the test itself stays pytest's to say.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

from meshtest.report.clean import clean
from meshtest.report.results import complete

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshtest.report.model import CheckEntry, Result, Step

_STATUS = {"pass": "passed", "fail": "failed"}


def active() -> bool:
    """Whether something listens: allure-pytest registers its listener for `--alluredir` only."""
    commons = sys.modules.get("allure_commons")
    return commons is not None and bool(commons.plugin_manager.hook.attach_data.get_hookimpls())


def publish(result: Mapping[str, Any]) -> None:
    """Attach labels, steps, checks, fault plan and history to the running test; else do nothing."""
    if not active():
        return
    found = complete(clean(dict(result)))
    _labels(found)
    for step in found["steps"]:
        _step(step)
    for check in found["checks"]:
        _check(check)
    for policy in found["policies"]:
        _attach(policy.get("yaml", ""), name=policy.get("ref", "policy"), media="text/yaml")
    if found["faults"]:
        _attach(_json(found["faults"]), name="fault plan", media="application/json")
    if found["exchanges"].get("total"):
        _attach(_json(found["exchanges"]), name="history", media="application/json")


def _labels(found: Result) -> None:
    import allure  # noqa: PLC0415 - optional, and imported by allure-pytest long before

    dynamic: Any = allure.dynamic  # it ships annotations for half of its methods
    if found["description"]:
        dynamic.description(found["description"])
    severities = {level.value for level in allure.severity_level}
    for name, value in found["labels"].items():
        if name != "severity" or value in severities:
            dynamic.label(name, str(value))
    # Excluded: a seed or runtime must not make another test of it in Allure's history.
    dynamic.parameter("seed", found["seed"], excluded=True)
    if found["runtime"]:
        dynamic.parameter("runtime", found["runtime"], excluded=True)


def _step(step: Step) -> None:
    took = step.get("stop", 0.0) - step.get("start", 0.0)
    with _step_of(f"{step.get('name', 'step')} ({took:.2f} s)", step.get("status", "passed"), ""):
        for attachment in step.get("attachments", []):
            _attach(
                attachment.get("text", ""),
                name=attachment.get("name", ""),
                media=attachment.get("type", "text/plain"),
            )


def _check(check: CheckEntry) -> None:
    reason = check.get("reason", "")
    status = _STATUS.get(check.get("verdict", ""), "broken")
    title = f"{check.get('verdict', 'unknown')}: {check.get('name', 'check')}: {reason}"
    with _step_of(title, status, reason):
        if check.get("observed"):
            _attach(_json(check["observed"]), name="observed", media="application/json")


class _NotJudgedError(Exception):
    """Raised when a step must show as broken: Allure's word for neither passed nor failed."""


@contextlib.contextmanager
def _step_of(title: str, status: str, reason: str) -> Iterator[None]:
    """A step with a given status; Allure derives it from what is raised within."""
    import allure  # noqa: PLC0415 - see _labels

    with contextlib.suppress(AssertionError, _NotJudgedError), allure.step(title):
        yield
        if status == "failed":
            raise AssertionError(reason)
        if status != "passed":
            raise _NotJudgedError(reason)


def _attach(text: str, *, name: str, media: str) -> None:
    import allure  # noqa: PLC0415 - see _labels

    extension = {"application/json": "json", "text/yaml": "yaml"}.get(media, "txt")
    allure.attach(text, name=name, attachment_type=media, extension=extension)


def _json(value: object) -> str:
    return json.dumps(value, indent=1)
