"""Which pods are probed, and one probe of one of them: from inside the pod, past its sidecar, as Istio's agent does.

With the annotation `sidecar.istio.io/rewriteAppHTTPProbers: "false"` from outside, through the sidecar, as by a
kubelet for which no agent answers.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from meshtest.live.applications import of_pod, probes_of, spec_of
from meshtest.live.requests import protocol_of
from meshtest.mesh.model import PodKind
from meshtest.mesh.pods import READY
from meshtest.mesh.probes import EXEC, GRPC, TCP
from meshtest.traffic.model import Outcome, Protocol, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.live.applications import Applications
    from meshtest.live.sending import Sender
    from meshtest.mesh.model import MeshModel, Pod
    from meshtest.mesh.probes import Probe
    from meshtest.runtime.base import Sandbox
    from meshtest.traffic.model import Exchange

    Probed = dict[str, tuple[Pod, Probe | None, Probe | None]]
    """Pod's key -> pod, readiness and startup probe."""

_REWRITE = "sidecar.istio.io/rewriteAppHTTPProbers"
_AGENT = ("User-Agent", "kube-probe/1.34")
_HEALTH = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"
"""HealthCheckResponse{status: SERVING}."""


def probed(model: MeshModel, applications: Applications) -> Probed:
    """The pods whose application is the user's and has probes; stand-ins are ready when they say so."""
    found: Probed = {}
    own = applications.commands or applications.images
    for pod in model.pods if own else ():
        if of_pod(applications, model, pod) and pod.annotations.get(READY) != "false":
            readiness, startup = probes_of(pod, spec_of(applications, model, pod))
            if readiness or startup:
                found[pod.key] = pod, readiness, startup
    return found


def through_sidecar(pod: Pod) -> bool:
    """Whether its probes go where its traffic goes."""
    return pod.kind is PodKind.SIDECAR and pod.annotations.get(_REWRITE) == "false"


def ask(sender: Sender, sandbox: Sandbox, pod: Pod, probe: Probe, outside: Callable[[], Pod]) -> str:
    """Probe once; what is wrong, or nothing. `outside` is a place on no pod."""
    if probe.handler == EXEC:
        done = sandbox.execute(pod.key, probe.command, timeout=probe.timeout)
        said = (done.stdout + done.stderr).strip()
        return f"it ended with {done.returncode}: {said}".rstrip(": ") if done.returncode else ""
    place = outside() if through_sidecar(pod) else pod
    if probe.handler == TCP:
        return sender.dial(place, probe.host or pod.ip, probe.port, probe.timeout)
    send = partial(sender.quietly, place)
    return _grpc(send, pod, probe) if probe.handler == GRPC else _http(send, pod, probe)


def _http(send: Callable[[Request], Exchange], pod: Pod, probe: Probe) -> str:
    scheme, address = "https" if probe.secure else "http", probe.host or pod.ip
    url = f"{scheme}://{address}:{probe.port}{probe.path}"
    named = {name.lower(): value for name, value in probe.headers.items()}
    own = tuple((name, value) for name, value in probe.headers.items() if name.lower() != "host")
    request = Request(
        url=url,
        protocol=protocol_of(url, None),
        host=named.get("host"),
        headers=own if "user-agent" in named else (_AGENT, *own),
        timeout=probe.timeout,
    )
    answer = send(request)
    if answer.status is None:
        return answer.error or answer.outcome.value
    return "" if 200 <= answer.status < 400 else f"status {answer.status}"


def _grpc(send: Callable[[Request], Exchange], pod: Pod, probe: Probe) -> str:
    service = probe.service.encode()
    request = Request(
        url=f"grpc://{pod.ip}:{probe.port}{_HEALTH}",
        protocol=Protocol.GRPC,
        body=b"\x0a" + bytes([len(service)]) + service if service else b"",
        headers=(_AGENT,),
        timeout=probe.timeout,
    )
    answer = send(request)
    if answer.outcome is not Outcome.RESPONSE or answer.grpc_status:
        return answer.error or f"gRPC status {answer.grpc_status}"
    return "" if answer.body == _SERVING else "it does not say SERVING"
