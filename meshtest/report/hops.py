"""The way of one exchange, as a chain to read from the caller down to the application.

caller ──► its sidecar ──► callee's sidecar (once per attempt) ──► application
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshtest.report import words
from meshtest.report.exchanges import outcome_class, outcome_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.report.model import ExchangeEntry, HopEntry

_SIDES = {"outbound": "sidecar, outbound", "inbound": "sidecar, inbound", "gateway": "gateway"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One stop of the chain; `facts` are (word, text) pairs."""

    pod: str
    role: str
    status: str
    style: str
    facts: Sequence[tuple[str, str]]
    decisions: Sequence[str] = ()


def chain(one: ExchangeEntry) -> list[Link]:
    """Every stop that the exchange is known to have made."""
    links = [_caller(one), *map(_hop, one["hops"])]
    if one["backend"]:
        facts = [("workload", one["backend"])]
        links.append(
            Link(
                pod=one["pod"] or one["backend"],
                role="application",
                status="answered",
                style="ok",
                facts=facts,
            )
        )
    return links


def _caller(one: ExchangeEntry) -> Link:
    facts = [
        ("sent", f"{one['method']} {one['url']}".strip()),
        ("spoke", one["protocol"]),
        ("error", one["error"]),
        ("late by", words.seconds(one["late"]) if one["late"] >= 0.001 else ""),
        ("marked for", ", ".join(one["faults"])),
        ("exchange", one["id"]),
    ]
    return Link(
        pod=one["caller"],
        role="caller",
        status=outcome_label(one),
        style=outcome_class(one),
        facts=_known(facts),
    )


def _hop(hop: HopEntry) -> Link:
    inbound = hop["side"] == "inbound"
    facts = [
        ("attempt", str(hop["attempt"]) if inbound and hop["attempt"] else ""),
        ("attempts", str(hop["attempts"]) if not inbound and hop["attempts"] else ""),
        ("flags", hop["flags"] if hop["flags"] != "-" else ""),
        ("details", hop["details"] if hop["details"] != "via_upstream" else ""),
        ("route", hop["route"] if not inbound else ""),
        ("cluster", hop["cluster"] if not inbound else ""),
        ("upstream", hop["upstream"]),
        ("peer", _peer(hop["peer"], hop["tls"]) if inbound or hop["peer"] else ""),
        (
            "upstream peer",
            _peer(hop["upstream_peer"], hop["upstream_tls"]) if not inbound and hop["upstream"] else "",
        ),
        ("faults", ", ".join(hop["faults"])),
        ("took", f"{hop['duration_ms']:g} ms"),
    ]
    return Link(
        pod=hop["pod"],
        role=f"{_SIDES.get(hop['side'], hop['side'])}, {hop['layer']}{', of a copy' if hop.get('mirror') else ''}",
        status=str(hop["status"] or 0) if hop["layer"] == "http" else hop["layer"].upper(),
        style=_style(hop),
        facts=_known(facts),
        decisions=[f"{policy}: {effect}" for policy, effect in hop["decided"]],
    )


def _style(hop: HopEntry) -> str:
    status = hop["status"]
    if status is None or hop["layer"] == "tcp":
        return "ok" if hop["flags"] in ("", "-") else "no-response"
    return (
        "no-response"
        if not status
        else "server-error"
        if status >= 500
        else "client-error"
        if status >= 400
        else "ok"
    )


def _peer(identity: str, version: str) -> str:
    if not identity:
        return f"TLS {version.removeprefix('TLS')} without identity" if version else "plaintext"
    return f"{identity} ({version or 'mTLS'})"


def _known(facts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(word, text) for word, text in facts if text]
