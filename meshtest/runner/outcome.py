"""What pytest says of an item that wants a mesh, put into the journal's entry. Pure.

what ran (scenario result, or what a test sent) + pytest's report (+ what was raised) ──► entry
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.errors import MeshTestError
from meshtest.report.results import result

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

_VERDICTS = {"passed": "pass", "failed": "fail", "skipped": "skipped"}


def outcome(
    known: Mapping[str, Any], judged: str, report: pytest.TestReport, raised: BaseException | None = None
) -> dict[str, Any]:
    """The entry.

    Args:
        known: the entry as far as it is known without pytest.
        judged: the verdict that the checks of a scenario came to; empty where there is none.
        report: pytest's, of the phase that ended the item.
        raised: what ended that phase.
    """
    verdict = _verdict(judged, report, raised)
    if verdict == "fail" and not judged and known.get("kind") == "scenario":
        verdict = "error"  # what ends a scenario before its checks is never the mesh
    entry = {**known, "verdict": verdict, "duration": known.get("duration") or report.duration}
    if verdict not in (judged, "pass"):
        entry["reason"] = reason(report, raised)
        entry["failure"] = report.longreprtext if report.failed else ""
    return {key: printable(value) for key, value in entry.items()}


def printable(value: Any) -> Any:
    r"""The same with bytes that are no text written as `\xff`: paths go out as they are, but no file takes them."""
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {printable(key): printable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(printable, value))
    return value


def died(report: pytest.TestReport) -> dict[str, Any]:
    """The entry of an item whose process died while it ran: all that is known is what pytest-xdist says."""
    text = str(report.longrepr).strip() or "the process that ran it died"
    return dict(result(id=report.nodeid, verdict="error", reason=text.partition("\n")[0], failure=text))


def _verdict(judged: str, report: pytest.TestReport, raised: BaseException | None) -> str:
    if not report.failed:
        return judged if report.passed and judged else _VERDICTS[report.outcome]
    if report.when != "call":
        return "error"
    if judged not in ("", "pass"):
        return judged
    wrong_place = isinstance(raised, MeshTestError) and not isinstance(raised, AssertionError)
    return "error" if wrong_place else "fail"


def reason(report: pytest.TestReport, raised: BaseException | None = None) -> str:
    """One line on why an item did not pass."""
    expected = getattr(report, "wasxfail", None)
    if report.skipped and expected is not None:
        return f"expected to fail: {str(expected).removeprefix('reason: ')}".rstrip(": ")
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    if isinstance(raised, MeshTestError):
        return str(raised).partition("\n")[0]
    crash = getattr(getattr(report.longrepr, "reprcrash", None), "message", "")
    lines = str(crash or report.longreprtext).strip().splitlines()
    return lines[0].removeprefix("Failed: ") if lines else report.outcome
