"""Runs one scenario.

1. The mesh of its manifests is up, or is brought up (shared by all scenarios that name the same ones).
2. Its policies are live on every sidecar, and only they.
3. Its traffic of before is sent; then its faults are in force, and the changes made that have no time of their own.
4. Its traffic is sent; the driver marks which requests meet which fault. Faults and changes come by its clock.
5. The faults are recovered, whatever happened.
6. Where recovery is expected, requests are sent until one succeeds or the deadline has passed; the traffic of after.
7. Every exchange is joined with what the sidecars logged about it: the history.
8. The checks judge the history; verdict pass, fail or unknown.
9. The result is told to pytest, the journal and Allure.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.checks import facts_of, judge_scenario, requests_for
from meshtest.errors import MeshTestError, RuntimeFailure
from meshtest.live.sending import Pace
from meshtest.runner.result import ScenarioResult, Step
from meshtest.scenario.consistency import RECOVERY
from meshtest.scenario.expect_telemetry import AccessLog, Spans
from meshtest.scenario.expect_time import Recovers, Returns
from meshtest.traffic.model import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.live.mesh import Mesh
    from meshtest.live.notices import Notice
    from meshtest.runner.pool import MeshPool
    from meshtest.scenario.model import Scenario
    from meshtest.scenario.traffic import Traffic
    from meshtest.traffic.model import Exchange
    from meshtest.traffic.record import History

_SHARED = (
    "method", "headers", "body", "host", "address", "port", "timeout", "follow_redirects", "server_first",
    "half_close", "reuse", "messages", "proxy_protocol",
)  # fmt: skip
"""What a scenario's request and the driver's have in common."""
_TLS = ("server_name", "alpn", "min_version", "max_version", "ca", "certificate", "key", "verify_name")
PROBE_EVERY = 0.02
"""Seconds between two requests that look for recovery."""


def run_scenario(scenario: Scenario, pool: MeshPool, *, runtime: str) -> ScenarioResult:
    """Run a scenario to its verdict; raises RuntimeFailure where this machine could not."""
    return _Run(scenario, pool, runtime).result()


class _Run:
    """One scenario under way; the numbered order stands at the top of the module."""

    def __init__(self, scenario: Scenario, pool: MeshPool, runtime: str) -> None:
        self.scenario = scenario
        self.pool = pool
        self.runtime = runtime
        self.steps: list[Step] = []
        self.sent: dict[str, str] = {}
        self.exchanges: list[Exchange] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began, status = time.time(), "broken"
        try:
            yield
            status = "passed"
        finally:
            self.steps.append(Step(name=name, status=status, start=began, stop=time.time()))

    def result(self) -> ScenarioResult:
        scenario = self.scenario
        with self.step("mesh"):
            mesh = self.pool.mesh(scenario, self.runtime)
        try:
            return self._on(mesh)
        except RuntimeFailure:
            self.pool.drop(mesh)
            raise

    def _on(self, mesh: Mesh) -> ScenarioResult:
        scenario = self.scenario
        with self.step("policies"):
            pushed = mesh.replace(*scenario.policies, mesh_config=scenario.mesh_config or None)
        seed = scenario.seed if scenario.seed is not None else self.pool.seed
        mesh.begin(seed)
        with self.step("traffic"):
            self._send_all(mesh, "before")
            with mesh.inject(*scenario.faults, changes=scenario.changes):
                self._send_all(mesh, "during")
        with self.step("recovery"):
            self._probe_recovery(mesh)
            self._send_all(mesh, "after")
        history = replace(mesh.history, exchanges=tuple(self.exchanges))
        if any(isinstance(check.what, (Spans, AccessLog)) for check in scenario.expect):
            history = mesh.collect(history)
        with self.step("checks"):
            brought = [*scenario.policies, *(each for change in scenario.changes for each in change.apply)]
            facts = facts_of(mesh.model, brought, self.sent, gone=mesh.pods_met)
            judged = judge_scenario(scenario, history, facts)
        return ScenarioResult(
            scenario=scenario,
            history=history,
            checks=tuple(judged),
            steps=tuple(self.steps),
            notices=(*pushed.notices, *self._analysis(mesh)),
            runtime=mesh.runtime,
            envoy=mesh.envoy,
        )

    def _analysis(self, mesh: Mesh) -> tuple[Notice, ...]:
        """What `istioctl analyze` has to say."""
        try:
            return self.pool.analysis(mesh.model)
        except MeshTestError:
            return ()  # the analyzers are advice; a verdict does not hang on them

    def _send_all(self, mesh: Mesh, phase: str) -> None:
        for traffic in self.scenario.traffic:
            if traffic.phase == phase:
                self._send(mesh, traffic)

    def _send(self, mesh: Mesh, traffic: Traffic) -> None:
        pace = Pace(
            requests=None if traffic.rate is not None else requests_for(self.scenario, traffic),
            concurrency=traffic.concurrency,
            rate=traffic.rate,
            duration=traffic.lasts,
        )
        self._keep(mesh.drive(traffic.sender, request_of(mesh, traffic), pace), traffic.name)

    def _keep(self, history: History, name: str) -> None:
        self.exchanges.extend(history.exchanges)
        self.sent |= dict.fromkeys((exchange.id for exchange in history.exchanges), name)

    def _probe_recovery(self, mesh: Mesh) -> None:
        wanted = [check.what for check in self.scenario.expect if isinstance(check.what, (Recovers, Returns))]
        if not wanted:
            return
        within = max(what.within for what in wanted)
        first = self.scenario.traffic[0]
        pace = Pace(rate=1 / PROBE_EVERY, duration=within + 5 * PROBE_EVERY)
        self._keep(mesh.drive(first.sender, request_of(mesh, first), pace), RECOVERY)


def request_of(mesh: Mesh, traffic: Traffic) -> Request:
    """The driver's request for what a scenario writes."""
    from meshtest.live.requests import client_tls, protocol_of  # noqa: PLC0415 - spares collection
    from meshtest.live.tokens import carrying  # noqa: PLC0415 - as above

    spec = traffic.request
    tls = None
    if spec.tls is not None:
        identity = mesh.issue(spec.tls.identity) if spec.tls.identity else {}
        tls = client_tls({name: getattr(spec.tls, name) for name in _TLS} | identity)
    request = Request(
        url=spec.url,
        protocol=protocol_of(spec.url, spec.protocol),
        tls=tls,
        **{name: getattr(spec, name) for name in _SHARED},
    )
    return request if spec.jwt is None else carrying(request, mesh.token(**spec.jwt.fields), spec.jwt)
