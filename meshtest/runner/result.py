"""What came of a scenario, and how pytest, the journal and Allure are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.checks import CheckResult, Verdict, combine, render
from meshtest.checks.text import summary
from meshtest.errors import CheckFailure
from meshtest.report.exchanges import pack, unpack
from meshtest.report.results import change, check, decisions, fault, result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.live.notices import Notice
    from meshtest.mesh.model import Manifest
    from meshtest.report import model as journal
    from meshtest.scenario.model import Scenario
    from meshtest.traffic.record import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that was done; times are epoch seconds."""

    name: str
    status: str
    start: float
    stop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """A scenario that ran to its verdict."""

    scenario: Scenario
    history: History
    checks: tuple[CheckResult, ...]
    steps: tuple[Step, ...]
    notices: tuple[Notice, ...] = ()
    runtime: str = ""
    envoy: str = ""
    """Which Envoys it ran on."""

    @property
    def verdict(self) -> Verdict:
        """Fail beats unknown beats pass."""
        return combine(self.checks)

    def raise_unless_passed(self) -> None:
        """Raise CheckFailure with the verdict's text: numbers first, then evidence, then the scenario's lines."""
        if self.verdict is not Verdict.PASS:
            raise CheckFailure(render(self.checks, self.scenario, self.history))

    def to_dict(self, nodeid: str) -> dict[str, Any]:
        """The journal's entry."""
        scenario, checks, verdict = self.scenario, self.checks, self.verdict
        applied = [manifest for each in scenario.changes for manifest in each.apply]
        kept = pack(self.history.exchanges, evidence={name for one in checks for name in one.evidence})
        return dict(
            result(
                id=nodeid,
                name=scenario.name,
                file=nodeid.partition("::")[0],
                line=scenario.location.line,
                description=scenario.description,
                labels=dict(scenario.labels),
                verdict=verdict.value,
                reason=summary(checks),
                failure="" if verdict is Verdict.PASS else render(checks, scenario, self.history),
                seed=self.history.seed,
                runtime=self.runtime,
                envoy=self.envoy,
                start=self.steps[0].start,
                duration=self.steps[-1].stop - self.steps[0].start,
                timings={step.name: step.stop - step.start for step in self.steps},
                steps=[_step(step) for step in self.steps],
                checks=[check(one) for one in checks],
                faults=[fault(window) for window in self.history.faults],
                changes=[change(made) for made in self.history.changes],
                exchanges=kept,
                decisions=decisions(unpack(kept)),
                policies=[_policy(manifest) for manifest in (*scenario.policies, *applied)],
                messages=[_message(notice) for notice in self.notices],
            )
        )


def _step(step: Step) -> journal.Step:
    return {"name": step.name, "status": step.status, "start": step.start, "stop": step.stop}


def _policy(manifest: Manifest) -> journal.PolicyEntry:
    return {
        "ref": str(manifest.ref),
        "file": manifest.location.file,
        "line": manifest.location.line,
        "yaml": _yaml(without_secrets(manifest.body)),
    }


def _message(notice: Notice) -> journal.MessageEntry:
    return {
        "level": notice.level,
        "code": notice.code,
        "text": f"{notice.object}: {notice.message}",
        "file": notice.location.file if notice.location else "",
        "line": notice.location.line if notice.location else 0,
    }


def unjudged(scenario: Scenario, nodeid: str) -> dict[str, Any]:
    """The journal's entry of a scenario that did not come to its verdict."""
    return dict(
        result(
            id=nodeid,
            name=scenario.name,
            file=nodeid.partition("::")[0],
            line=scenario.location.line,
            description=scenario.description,
            labels=dict(scenario.labels),
            verdict="unknown",
        )
    )


def nothing_sent(nodeid: str, line: int) -> dict[str, Any]:
    """The journal's entry of a Python test that got no mesh."""
    return dict(result(kind="test", id=nodeid, line=line + 1, verdict="unknown"))


def test_entry(nodeid: str, line: int, history: History, runtime: str, envoy: str) -> dict[str, Any]:
    """The journal's entry of a Python test that used a mesh; its outcome is pytest's to say."""
    kept = pack(history.exchanges)
    return dict(
        result(
            kind="test",
            id=nodeid,
            line=line + 1,
            verdict="unknown",
            seed=history.seed,
            runtime=runtime,
            envoy=envoy,
            start=min((exchange.started for exchange in history.exchanges), default=0.0),
            faults=[fault(window) for window in history.faults],
            changes=[change(made) for made in history.changes],
            exchanges=kept,
            decisions=decisions(unpack(kept)),
        )
    )


def without_secrets(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Secret without what it keeps; anything else as it is."""
    if body.get("kind") != "Secret":
        return body
    kept = {field: body[field] for field in ("data", "stringData") if body.get(field)}
    return {**body, **{field: dict.fromkeys(values, "(not shown)") for field, values in kept.items()}}


def _yaml(body: Mapping[str, Any]) -> str:
    import yaml  # noqa: PLC0415 - loaded with the manifests anyway

    return str(yaml.safe_dump(dict(body), sort_keys=False))
