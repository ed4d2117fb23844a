"""What a running mesh is asked: requests from its workloads, and what would become of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshtest.errors import ScenarioError
from meshtest.live.applications import of_pod
from meshtest.live.assembly import inside_url
from meshtest.live.collecting import lines_of, spans_of, with_telemetry
from meshtest.live.decisions import told
from meshtest.live.requests import find_caller, let_in, plain_request, replicas, shown_as, token_of
from meshtest.live.sending import Around, Pace
from meshtest.live.state import MeshState
from meshtest.mesh.model import PodKind
from meshtest.mesh.outside import OUTSIDE
from meshtest.mesh.proxy_config import has_request_ids
from meshtest.mesh.standins import COLLECTOR, plays
from meshtest.runtime.base import Part
from meshtest.traffic.model import ClientTls, Request
from meshtest.waiting import settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.explain.model import Explanation
    from meshtest.explain.walk import Walker
    from meshtest.mesh.model import Pod
    from meshtest.traffic.model import Exchange
    from meshtest.traffic.record import History


class Calls(MeshState):
    """The half of `Mesh` that sends, explains and collects."""

    def request(self, caller: str, url: str | bytes, **fields: Any) -> Exchange:
        """Send one request from a workload and return all that is known of it.

        A refused, reset or failed connection is an outcome of the exchange, never an exception.

        Args:
            caller: `ns/workload`, `ns/pod`, or either without namespace; `outside`: a place without sidecar outside
                the cluster, which reaches gateways by the name or an external address of their Service.
            url: scheme `http`, `https`, `h2c`, `h2`, `grpc`, `tcp`, `tls`, `ws` or `wss`; the path goes out as
                written, to the byte where the URL is given as bytes.
            fields: of `meshtest.Request`: `method`, `headers`, `body`, `host`, `address`, `port`, `protocol`, `tls`
                (`ClientTls`, or its fields: `server_name`, `alpn`, ...; `certificate`, `key` and `ca` as PEM or
                files), `timeout` (s), `follow_redirects`, `server_first`, ...; `identity`: a SPIFFE identity whose
                certificate the caller shows itself.
        """
        identity = fields.pop("identity", None)
        if identity is not None:
            fields["tls"] = shown_as(fields.get("tls"), self.issue(str(identity)))
        request = plain_request(url, {"timeout": self.options.timeouts.request, **fields})
        return self.drive(caller, request, Pace(requests=1)).exchanges[0]

    def send(
        self,
        caller: str,
        url: str | bytes,
        *,
        requests: int | None = None,
        concurrency: int = 8,
        rate: float | None = None,
        duration: float | None = None,
        **fields: Any,
    ) -> History:
        """Send many requests: `requests` of them with `concurrency` at once, or at a `rate` (1/s) for `duration` s."""
        request = plain_request(url, {"timeout": self.options.timeouts.request, "reuse": True, **fields})
        pace = Pace(requests=requests, concurrency=concurrency, rate=rate, duration=duration)
        return self.drive(caller, request, pace)

    def drive(self, caller: str, request: Request | Sequence[Request], pace: Pace) -> History:
        """Send a request, or several in turn, as often as `pace` says; what `request` and `send` are made of."""
        self._readiness.check()
        pod = self._caller(caller)
        requests = [request] if isinstance(request, Request) else request
        requests = [let_in(self._model, pod, one) for one in requests]
        # A client without proxy sends none either: the proxy that it calls gives one, or is told not to.
        deciding = [pod] if pod.has_envoy else self._model.pods
        if not all(map(has_request_ids, deciding)):
            requests = [replace(one, request_id=False) for one in requests]
        self._met |= {each.ip: each for each in self._model.pods}
        history = self._sender.send(self._around, pod, requests, self._faults, pace)
        history = replace(history, exchanges=tuple(told(history.exchanges, self._model)))
        self._exchanges.extend(history.exchanges)
        return history

    def _around(self) -> Around:
        """What there was while requests were under way; what has gone meanwhile may have answered some."""
        steady = not self._changes.made and self._readiness.flips == self._flips
        return Around(pods=self.pods_met, services=self._model.cluster_ips, steady=steady)

    def _caller(self, name: str) -> Pod:
        """Who is meant."""
        pod = find_caller(self._model, name)
        return self._outside() if pod.key == OUTSIDE else pod

    def explain(self, caller: str, url: str, **fields: Any) -> Explanation:
        """What the sidecars would do with a request, read from their configuration; nothing is sent.

        Takes what `request` takes. What the configuration leaves open is said as such.
        """
        identity = str(fields.pop("identity", None) or "")
        pod = find_caller(self._model, caller)
        request = plain_request(url, fields)
        if identity:
            request = replace(request, tls=replace(request.tls or ClientTls(), certificate=identity))
        return self._walker().explain(pod, let_in(self._model, pod, request), identity)

    def _walker(self) -> Walker:
        """Made anew for every state of the mesh."""
        from meshtest.live.explaining import of_running  # noqa: PLC0415 - only where something is explained

        if self._explaining is None or self._explaining[0] is not self._model:
            walker = of_running(self.engine, self._model, self.options.applications)
            self._explaining = self._model, walker
        return self._explaining[1]

    def issue(self, identity: str) -> dict[str, str]:
        """A certificate of the mesh's CA for any SPIFFE identity: PEM under `certificate` and `key`."""
        issued = self._sandbox.control_plane.call(
            "issue", timeout=self.options.timeouts.push, spiffe=identity
        ).header
        return {"certificate": issued["cert"], "key": issued["key"]}

    def token(self, **fields: Any) -> str:
        """A JSON web token, signed with the mesh's key.

        Args:
            fields: of `meshtest.Token`: `issuer`, `subject`, `audience`, `claims`, `lifetime` (s), `expired`,
                `not_yet_valid`, `key` (`known`, `unknown`, `forged` or `none`).
        """
        return self.keys.sign(token_of(fields))

    def received(self, pod: str, *, forget: bool = False) -> list[dict[str, Any]]:
        """What stand-ins received: `method`, `path`, `host`, `headers`, `body` and more of their last 1,000 requests.

        Copies that a route mirrored are among them. One that plays `ext-authz`, `jwks` or `collector` has one entry per
        check or span instead.

        Args:
            pod: the workload, for all its pods, or one pod.
            forget: whether they shall forget what they tell.
        """
        noted: list[dict[str, Any]] = []
        for each in replicas(self._model, pod):
            if each.kind is PodKind.GATEWAY or of_pod(self._applications, self._model, each):
                raise ScenarioError(
                    f"{each.key} runs no stand-in, so nobody tells", expected="a workload with one"
                )
            url = inside_url(self._model, each)
            noted += json.loads(self._sender.ask(each, f"{url}/_meshtest/received"))
            if forget:
                self._sender.ask(each, f"{url}/_meshtest/reset", "POST")
        return noted

    def collect(self, history: History) -> History:
        """The same history, its exchanges with the spans and the access log lines about them.

        Returns when nothing more comes: sidecars send spans and write lines when a request has ended.
        """
        collectors = [pod.key for pod in self.pods if plays(pod) == COLLECTOR]
        writers = [pod.key for pod in self.pods if pod.has_envoy]

        def told() -> tuple[list[dict[str, Any]], dict[str, str]]:
            noted = [each for pod in collectors for each in self.received(pod)]
            return noted, {pod: self._sandbox.logs(pod, Part.SIDECAR) for pod in writers}

        noted, logs = settled(told, self.options.timeouts.evidence)
        spans = spans_of(noted, self.pods) if collectors else None
        return replace(history, exchanges=tuple(with_telemetry(history.exchanges, spans, lines_of(logs))))
