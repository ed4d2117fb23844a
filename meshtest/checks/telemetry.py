"""`spans:`: what collectors received. `accessLog:`: what a sidecar wrote since Telemetry or MeshConfig asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks.judging import every, finding, missing

if TYPE_CHECKING:
    from meshtest.checks.evidence import Evidence, Facts
    from meshtest.checks.judging import Finding, Judgement
    from meshtest.scenario.expect_telemetry import AccessLog, Spans
    from meshtest.traffic.model import Exchange, Span

LONGEST = 120


def spans(spec: Spans, evidence: Evidence) -> Judgement:
    """Every request has as many spans as expected."""
    of, kind = f" of {spec.of}" if spec.of else "", f"{spec.kind} " if spec.kind else ""
    tags = "".join(f" with {name}: {match.text()}" for name, match in spec.tags.items())
    name = f" named {spec.name.text()}" if spec.name else ""
    expected = f"{spec.bounds.text(f'{kind}spans')}{of}{name}{tags}"
    return every(expected, [(each, _spans(spec, each, evidence.facts)) for each in evidence.exchanges])


def _spans(spec: Spans, exchange: Exchange, facts: Facts) -> Finding:
    if exchange.spans is None:
        return missing("no collector of spans is in the mesh")
    found = [span for span in exchange.spans if _is_meant(spec, span, facts)]
    others = len(exchange.spans) - len(found)
    besides = f" and {others} others" if others else ""
    return finding(f"{_counted(len(found), 'span')}{besides}", holds=spec.bounds.hold(len(found)))


def _is_meant(spec: Spans, span: Span, facts: Facts) -> bool:
    if spec.of and not facts.is_at(span.pod, spec.of):
        return False
    if spec.kind not in ("", span.kind) or (spec.name is not None and not spec.name.holds([span.name])):
        return False
    tags = {name.lower(): value for name, value in span.tags.items()}
    return all(match.holds([tags[name]] if name in tags else []) for name, match in spec.tags.items())


def access_log(spec: AccessLog, evidence: Evidence) -> Judgement:
    """A sidecar wrote as many lines about every request as expected, and each says what is expected."""
    says = f", each {spec.text.text()}" if spec.text else ""
    expected = f"{spec.bounds.text('lines')} in the access log of {spec.at}{says}"
    found = [(each, _lines(spec, each, evidence.facts)) for each in evidence.exchanges]
    return every(expected, found)


def _lines(spec: AccessLog, exchange: Exchange, facts: Facts) -> Finding:
    if exchange.access_log is None:
        return missing("nobody read the access log")
    lines = [line.text for line in exchange.access_log if facts.is_at(line.pod, spec.at)]
    wrong = [line for line in lines if spec.text is not None and not spec.text.holds([line])]
    if wrong:
        return finding(f"the line {wrong[0][:LONGEST]!r}", holds=False)
    return finding(_counted(len(lines), "line"), holds=spec.bounds.hold(len(lines)))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
