"""The journal's format, as plain JSON.

    DIR/run.json                 Run: one per pytest run
    DIR/journal/NAME-HASH.json   Result: one per scenario, and per Python test that uses a mesh
    DIR/index.html               made from these files alone

Times are epoch seconds, durations seconds unless the key says `_ms`. Keys may be absent: readers fill them in
with `results.complete`. `exchanges` keeps at most 2,000 of them (evidence and failing ones first, then an
even sample) as columns and rows; its `summary` was counted over all of them, before any was left out.
"""

from __future__ import annotations

from typing import Any, TypedDict

FORMAT = "meshtest.dev/journal/v1"
VERDICTS = ("fail", "error", "unknown", "pass", "skipped")
"""Worst first. `error`: the environment or the user's file is wrong, so the mesh was not judged."""


class Step(TypedDict, total=False):
    """Something that was done, and how it went: `passed`, `failed` or `broken`."""

    name: str
    status: str
    start: float
    stop: float
    attachments: list[dict[str, str]]
    """Each with name, type (a media type) and text."""


class CheckEntry(TypedDict, total=False):
    """What one expectation came to."""

    name: str
    verdict: str
    reason: str
    observed: dict[str, Any]
    evidence: list[str]
    """Ids of exchanges."""
    file: str
    line: int


class FaultEntry(TypedDict, total=False):
    """A fault as it ran."""

    id: str
    kind: str
    target: str
    placement: str
    injected: float
    in_force: float
    leaving: float
    """When its recovery began; it was over at `recovered`."""
    recovered: float
    hits: int
    marked: int
    unit: str
    """What `hits` are."""


class ChangeEntry(TypedDict, total=False):
    """Manifests that were applied or deleted meanwhile."""

    id: str
    what: str
    asked: float
    """0: its time never came."""
    made: float
    held: str
    """Why it was live nowhere then."""


class PolicyEntry(TypedDict, total=False):
    """A policy under test, verbatim."""

    ref: str
    """`Kind namespace/name`."""
    file: str
    line: int
    yaml: str


class MessageEntry(TypedDict, total=False):
    """What istiod's validation or analysis says about a manifest."""

    level: str
    code: str
    text: str
    file: str
    line: int


class DecisionEntry(TypedDict, total=False):
    """What a policy decided, how often, and one exchange that shows it."""

    policy: str
    effect: str
    count: int
    example: str


class HopEntry(TypedDict):
    """One access log line of one sidecar or gateway; keys as in `meshtest.traffic.model.Hop`."""

    pod: str
    side: str
    layer: str
    status: int | None
    flags: str
    details: str
    attempts: int
    attempt: int
    route: str
    config: str
    cluster: str
    upstream: str
    peer: str
    tls: str
    upstream_peer: str
    upstream_tls: str
    start: float
    duration_ms: float
    faults: list[str]
    decided: list[list[str]]
    """Policy and effect of each decision that it tells of."""
    mirror: bool


class ExchangeEntry(TypedDict):
    """One request and its fate; bodies, headers and certificates are not kept."""

    id: str
    caller: str
    method: str
    url: str
    protocol: str
    outcome: str
    status: int | None
    grpc_status: int | None
    started: float
    latency: float
    late: float
    backend: str
    """`namespace/workload` that answered, or empty."""
    pod: str
    attempts: int | None
    faults: list[str]
    error: str
    complete: bool
    hops: list[HopEntry]


class Strip(TypedDict):
    """Counts per outcome class in equal slices of time."""

    start: float
    width: float
    bins: list[dict[str, int]]


class Summary(TypedDict):
    """Counted over every exchange, also those the journal leaves out."""

    outcomes: dict[str, int]
    classes: dict[str, int]
    backends: dict[str, int]
    attempts: dict[str, int]
    latency_ms: dict[str, float]
    strip: Strip


class Exchanges(TypedDict, total=False):
    """Exchanges as a table: `rows` follow `columns`, of which `hops` holds rows that follow `hop_columns`."""

    total: int
    kept: int
    left_out: int
    summary: Summary
    columns: list[str]
    hop_columns: list[str]
    rows: list[list[Any]]


class Result(TypedDict, total=False):
    """One scenario, or one Python test that uses a mesh."""

    format: str
    kind: str
    """`scenario` or `test`."""
    id: str
    """pytest's node id."""
    name: str
    file: str
    line: int
    description: str
    labels: dict[str, str]
    verdict: str
    reason: str
    failure: str
    """The text of the failure as pytest shows it."""
    seed: int
    runtime: str
    envoy: str
    """Which Envoys it ran on, as they say themselves."""
    start: float
    duration: float
    timings: dict[str, float]
    """setup, policies, traffic, checks."""
    steps: list[Step]
    checks: list[CheckEntry]
    faults: list[FaultEntry]
    changes: list[ChangeEntry]
    exchanges: Exchanges
    policies: list[PolicyEntry]
    messages: list[MessageEntry]
    decisions: list[DecisionEntry]
    earlier: list[str]
    """Verdicts of earlier attempts of the same test in this run, where something reran it."""


class Run(TypedDict, total=False):
    """What all results have in common."""

    format: str
    meshtest: str
    envoy: str
    istiod: str
    runtime: str
    seed: int
    start: float
    duration: float
    python: str
    platform: str
    workers: int
    finished: bool
    counts: dict[str, int]
