"""A mesh that runs: the Python face of meshtest.

manifests ─► model ─► istiod's answers ─► sidecars       request(), send(), inject() ─► exchanges with their hops
"""

from __future__ import annotations

import contextlib
import functools
import json
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from meshtest.errors import ConfigurationRejected, ScenarioError, Unsupported, nearest
from meshtest.faults.base import Ground
from meshtest.faults.signalling import signal
from meshtest.istiod.deployments import GatewayDeployments
from meshtest.live.applications import Applications, image_specs
from meshtest.live.assembly import (
    Surroundings,
    inside_url,
    network_plan,
    pod_plan,
    sandbox_plan,
)
from meshtest.live.changing import Changes
from meshtest.live.collecting import lines_of, spans_of, with_telemetry
from meshtest.live.control import ControlPlane, Pushed, SharedDisk
from meshtest.live.decisions import told
from meshtest.live.envoys import versions
from meshtest.live.external import Externals
from meshtest.live.faulting import ActiveFaults
from meshtest.live.notices import Notice, analysis
from meshtest.live.probing import ask, probed
from meshtest.live.readiness import Readiness
from meshtest.live.requests import find_caller, from_outside, plain_request, replicas, shown_as, token_of
from meshtest.live.sending import Around, Pace, Sender
from meshtest.mesh.addresses import POD_NETWORK
from meshtest.mesh.build import BuildOptions, build_model
from meshtest.mesh.manifests import identity, load_in_turn
from meshtest.mesh.mesh_config import settings_of
from meshtest.mesh.outside import OUTSIDE
from meshtest.mesh.standins import COLLECTOR, plays
from meshtest.runtime.base import Part, PodPlan
from meshtest.scenario.changes import named
from meshtest.scenario.external import external_hosts
from meshtest.traffic.history import AccessLog
from meshtest.traffic.model import History, Request
from meshtest.waiting import Timeouts, settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from meshtest.explain.model import Explanation
    from meshtest.explain.walk import Walker
    from meshtest.istiod.engine import Engine
    from meshtest.live.external import Credentials
    from meshtest.live.probing import Probed
    from meshtest.mesh.model import Manifest, MeshModel, Pod, Service
    from meshtest.runtime.base import Action, Completed, Sandbox
    from meshtest.scenario.changes import ChangeSpec
    from meshtest.scenario.faults import FaultSpec
    from meshtest.scenario.images import ImageSpec
    from meshtest.traffic.keys import KeySet
    from meshtest.traffic.model import ChangeMade, Exchange, FaultWindow


Objects = dict[tuple[str, str, str, str], "Manifest"]
"""Group, kind, namespace and name -> the object, whatever its version."""
MOST_EXCHANGES = 100_000
"""How many a mesh remembers for its history; the oldest are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshOptions:
    """How a mesh is built; everything has a default."""

    runtime: str = "auto"
    mesh_config: Mapping[str, Any] | str | None = None
    """Istio's MeshConfig, as in `meshConfig:` of an IstioOperator."""
    applications: Applications = field(default_factory=Applications)
    engine_env: Mapping[str, str] = field(default_factory=dict)
    """Switches of istiod (`PILOT_...`)."""
    seed: int | None = None
    allow_unsupported: bool = False
    timeouts: Timeouts = field(default_factory=Timeouts)


class Mesh:
    """A running mesh; a context manager that ends every process of it.

    Raises ManifestError where a cluster would refuse the manifests, RuntimeFailure where this machine cannot run
    it, ConfigurationRejected where an Envoy refuses what istiod made of it.
    """

    def __init__(
        self, manifests: Sequence[Manifest], options: MeshOptions, engine: Engine | None = None
    ) -> None:
        self.options = options
        self.seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
        self.timings: dict[str, float] = {}
        self.notices: tuple[Notice, ...] = ()
        self._started_with = _by_identity(manifests)
        self._base = self._started_with
        self._applied: Objects = {}
        self._applications = replace(options.applications, key_set=lambda: self.jwks)
        self._mesh_config = _mesh_config_text(options.mesh_config)
        self._pod_network = POD_NETWORK
        self._has_outside = False
        self._explaining: tuple[MeshModel, Walker] | None = None
        self._log = AccessLog()
        self._stack = contextlib.ExitStack()
        self._faults = ActiveFaults()
        self._changes = Changes(self)
        self._changing = threading.RLock()
        """Held from one state of the mesh to the next."""
        self._readiness = Readiness(
            lambda pod, probe: ask(self._sender, self._sandbox, pod, probe), self._look_who_is_ready
        )
        self._flips = 0
        self._met: dict[str, Pod] = {}
        self._exchanges: deque[Exchange] = deque(maxlen=MOST_EXCHANGES)
        try:
            self._start(engine)
        except BaseException:
            self.close()
            raise

    @classmethod
    def from_manifests(
        cls,
        *sources: str | Path,
        runtime: str = "auto",
        mesh_config: Mapping[str, Any] | str | None = None,
        commands: Mapping[str, Sequence[str]] | None = None,
        calls: Mapping[str, Sequence[str]] | None = None,
        images: Mapping[str, ImageSpec | str] | None = None,
        proxies: Mapping[str, str] | None = None,
        external: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Start the mesh that manifests describe; returns when every sidecar has its configuration.

        Args:
            sources: files, folders, globs or YAML text; of an object that two of them hold, the later wins.
            runtime: `auto`, `netns` or `docker`.
            mesh_config: Istio's MeshConfig, mapping or YAML.
            commands: `ns/workload` -> argv of a program that runs instead of the stand-in service.
            calls: workload or service -> what its stand-in calls for each request.
            images: workload or `*` -> container image that runs instead of the stand-in service, or `manifest` for
                the one that its manifest names (docker runtime).
            proxies: workload or `*` -> image of Istio's proxy, whose Envoy runs instead of meshtest's (docker runtime).
            external: hosts outside the mesh, by name, in the words of `external:` of scenarios: `[80/HTTP, 443/HTTPS]`,
                or a mapping with `ports`, `names`, `addresses`, `tls`, `files`, `secrets`.
            options: further fields of MeshOptions (`seed`, `engine_env`, `allow_unsupported`, `timeouts`).
        """
        chosen = MeshOptions(
            runtime=runtime,
            mesh_config=mesh_config,
            applications=Applications(
                calls=calls or {},
                commands=commands or {},
                images=image_specs(images),
                proxies=proxies or {},
                external=Externals(external_hosts(external)),
            ),
            **options,
        )
        return cls(load_in_turn(sources, allow_unsupported=chosen.allow_unsupported), chosen)

    def _start(self, engine: Engine | None) -> None:
        """Bring the engine, the sandbox and every pod up side by side, then make the configuration live."""
        began = time.monotonic()
        engine = engine or self._own_engine()
        self.engine = engine
        self._deployments = GatewayDeployments(engine)
        self._choose_runtime()
        self._model = self._build(self._mesh_config)
        sandbox = self._start_sandbox(self._model)
        self._sandbox = sandbox
        external = self.options.applications.external
        disk = SharedDisk(files=external.files(), roots=external.public_root)
        self._control = ControlPlane(engine, sandbox.control_plane, self.options.timeouts, disk)
        self._reachable, self._network = self._model, network_plan(self._model)
        self._control.on_names = lambda: self._tell_network(self._reachable)
        pushed = self._control.change(
            self._model, self._mesh_config, lambda: sandbox.ready(self.options.timeouts.start)
        )
        self.notices = pushed.notices
        self._sender = Sender(sandbox.driver, self._log, self.options.timeouts, self.seed)
        self._stack.callback(self._readiness.close)
        self._await_ready(self._probe(self._model))
        self.timings = {"start": time.monotonic() - began, "engine": pushed.engine, "push": pushed.push}

    def _own_engine(self) -> Engine:
        from meshtest.istiod.binary import find_or_build  # noqa: PLC0415 - only where no engine is given
        from meshtest.istiod.engine import Engine  # noqa: PLC0415 - as above

        switches = {**self.options.applications.switches, **self.options.engine_env}
        engine = Engine.start(find_or_build(_say), env=switches)
        self._stack.callback(engine.close)
        return engine

    def _choose_runtime(self) -> None:
        from meshtest.runtime import choose  # noqa: PLC0415 - only where a mesh is started
        from meshtest.runtime.base import Capability, Reserving  # noqa: PLC0415 - as above

        chosen = choose(self.options.runtime)
        asked = self.options.applications
        if (asked.images or asked.proxies) and Capability.IMAGES not in chosen.capabilities():
            raise Unsupported(f"the {chosen.name} runtime runs no images: use --mesh-runtime=docker")
        self.runtime, self._runtime = chosen.name, chosen
        if isinstance(chosen, Reserving):
            self._stack.callback(chosen.release)
            self._pod_network = chosen.reserve()
        self._surroundings = Surroundings(socket_mark=chosen.socket_mark, resolver=chosen.resolver)

    def _start_sandbox(self, model: MeshModel) -> Sandbox:
        from meshtest.envoy.binary import find_envoy  # noqa: PLC0415 - only where a mesh is started

        runtime = self._runtime
        authority = f"{random.SystemRandom().getrandbits(128):x}"
        envoy = "" if runtime.brings_envoy else str(find_envoy())
        plan = sandbox_plan(model, self._applications, envoy, authority, around=self._surroundings)
        sandbox = runtime.start(plan, self._log.feed)
        self._stack.callback(sandbox.close)
        return sandbox

    # -- what is in it ---------------------------------------------------------------------------------------

    @property
    def pods(self) -> Sequence[Pod]:
        """The pods, with addresses and identities."""
        return self._model.pods

    @property
    def pods_met(self) -> Sequence[Pod]:
        """The pods since `begin`, those that are gone included."""
        return tuple(self._met.values())

    @property
    def services(self) -> Sequence[Service]:
        """The Services, with their cluster IPs."""
        return self._model.services

    @property
    def model(self) -> MeshModel:
        """Everything the manifests say, as values."""
        return self._model

    def external(self, host: str) -> Credentials:
        """What a host outside lets others have: its `ca`, and a `client_certificate` with its `client_key`, as PEM."""
        found = self.options.applications.external
        if host not in found.hosts:
            raise ScenarioError(
                f"no host {host!r} outside the mesh",
                expected=" or ".join(found.hosts) or "one of `external`",
                nearest=nearest(host, found.hosts),
            )
        return found.credentials(host)

    # -- policies --------------------------------------------------------------------------------------------

    def apply(self, *sources: str | Path | Manifest) -> Pushed:
        """Add or replace objects, as `kubectl apply`; returns when they are live on every sidecar.

        Under a fault of the control plane it does not wait for the sidecars that the fault keeps from it.
        """
        changed = _by_identity(self._load(sources))
        return self._change({**self._applied, **changed}, self._mesh_config)

    def replace(
        self, *sources: str | Path | Manifest, mesh_config: Mapping[str, Any] | str | None = None
    ) -> Pushed:
        """Have exactly these objects besides the manifests that the mesh was started with.

        `mesh_config` replaces Istio's MeshConfig; without it the one the mesh was started with holds.
        """
        wanted = _by_identity(self._load(sources))
        config = _mesh_config_text(self.options.mesh_config if mesh_config is None else mesh_config)
        return self._change(wanted, config, self._started_with)

    def delete(self, *sources: str | Path | Manifest) -> Pushed:
        """Remove the objects that these sources name, as `kubectl delete -f`."""
        gone = _by_identity(self._load(sources))
        for key, manifest in gone.items():
            if key not in self._applied and key not in self._base:
                raise ScenarioError(
                    f"{manifest.ref} is not in the mesh, so it cannot be deleted", location=manifest.location
                )
        base = {key: manifest for key, manifest in self._base.items() if key not in gone}
        applied = {key: manifest for key, manifest in self._applied.items() if key not in gone}
        return self._change(applied, self._mesh_config, base)

    def analyze(self) -> tuple[Notice, ...]:
        """What `istioctl analyze` says about the mesh as it is."""
        return analysis(self.engine, self._model)

    def status(self) -> list[dict[str, Any]]:
        """What istiod's controllers write into the status of Gateways, routes, policies and Ingresses.

        Each is `apiVersion`, `kind`, `namespace`, `name` and `status` as `kubectl get -o json` shows it.
        """
        return self.engine.status()

    def _load(self, sources: Sequence[str | Path | Manifest]) -> list[Manifest]:
        from meshtest.mesh.model import Manifest  # noqa: PLC0415 - a value at run time, a type elsewhere

        ready = [source for source in sources if isinstance(source, Manifest)]
        paths = [source for source in sources if not isinstance(source, Manifest)]
        return [*ready, *load_in_turn(paths, allow_unsupported=self.options.allow_unsupported)]

    def _build(
        self,
        mesh_config: str | None,
        applied: Objects | None = None,
        base: Objects | None = None,
        previous: MeshModel | None = None,
    ) -> MeshModel:
        external = self.options.applications.external
        given = _by_identity(external.secrets())
        manifests = [*{**given, **(self._base if base is None else base), **(applied or {})}.values()]
        options = BuildOptions(
            settings=settings_of(mesh_config),
            allow_unsupported=self.options.allow_unsupported,
            pod_network=self._pod_network,
            external=external.hosts,
            proxies=self.options.applications.proxies,
            switches=self.options.engine_env,
        )
        made = self._deployments.of(manifests)
        model = build_model(manifests, made=made, previous=previous, options=options)
        waiting = self._readiness.not_ready(probed(model, self._applications).values())
        if waiting:
            options = replace(options, not_ready=waiting)
            model = build_model(manifests, made=made, previous=previous, options=options)
        return model

    def _change(self, applied: Objects, mesh_config: str | None, base: Objects | None = None) -> Pushed:
        """Go to another state; returns when it is live, and who is new in it is ready."""
        with self._changing:
            before = {pod.key: pod for pod in self._model.pods}
            pushed = self._go_to(applied, mesh_config, base)
            wanted = probed(self._model, self._applications).items()
            fresh = [key for key, (pod, *_) in wanted if before.get(key) != pod]
        if not self._control.outage:
            self._await_ready(fresh)
        return pushed

    def _look_who_is_ready(self) -> None:
        """Have the sidecars know which pods are ready."""
        with self._changing:
            self._go_to(self._applied, self._mesh_config)

    def _probe(self, model: MeshModel) -> Probed:
        """Have exactly the applications of this model be probed that have probes; which ones these are."""
        found = probed(model, self._applications)
        self._readiness.watch(found)
        return found

    def _await_ready(self, keys: Iterable[str]) -> None:
        self._readiness.wait(keys, self.options.timeouts.start)

    def _go_to(self, applied: Objects, mesh_config: str | None, base: Objects | None = None) -> Pushed:
        old = self._model
        model = self._build(mesh_config, applied, base, old)
        before, after = {pod.key: pod for pod in old.pods}, {pod.key: pod for pod in model.pods}
        fresh = [pod for pod in model.pods if before.get(pod.key) != pod]
        stale = [key for key, pod in before.items() if after.get(key) != pod]

        def start_pods() -> None:
            replaced = [key for key in stale if key in after]
            if replaced:
                self._sandbox.remove_pods(replaced)
            self._tell_network(model)
            if fresh:
                plans = [pod_plan(model, pod, self._applications, self._surroundings) for pod in fresh]
                self._sandbox.add_pods(plans, self.options.timeouts.start)

        try:
            pushed = self._control.change(model, mesh_config, start_pods)
        except ConfigurationRejected:
            self._sandbox.remove_pods([pod.key for pod in fresh if pod.key not in before])
            self._tell_network(old)
            raise
        self._model, self._applied, self._mesh_config = model, applied, mesh_config
        self._met |= {pod.ip: pod for pod in model.pods}
        self._base = self._base if base is None else base
        gone = [key for key in stale if key not in after]
        self._probe(model)
        if gone:
            self._sandbox.remove_pods(gone)
        return pushed

    def _tell_network(self, model: MeshModel) -> None:
        """Have the sandbox answer for the addresses and names of this model."""
        plan = network_plan(model, self._control.agents)
        self._reachable = model
        if plan != self._network:
            self._sandbox.set_network(plan)
            self._network = plan

    # -- traffic ---------------------------------------------------------------------------------------------

    def request(self, caller: str, url: str | bytes, **fields: Any) -> Exchange:
        """Send one request from a workload and return all that is known of it.

        A refused, reset or failed connection is an outcome of the exchange, never an exception.

        Args:
            caller: `ns/workload`, `ns/pod`, or either without namespace; `outside`: a place without sidecar outside
                the cluster, which reaches gateways by the name or an external address of their Service.
            url: scheme `http`, `https`, `h2c`, `h2`, `grpc`, `tcp`, `tls`, `ws` or `wss`; the path goes out as
                written, to the byte where the URL is given as bytes.
            fields: of `meshtest.Request`: `method`, `headers`, `body`, `host`, `address`, `port`, `protocol`, `tls`
                (`ClientTls`, or its fields: `server_name`, `alpn`, `certificate`, `key`, `ca`, ...), `timeout` (s),
                `follow_redirects`, `server_first`, ...; `identity`: a SPIFFE identity whose certificate the caller
                shows itself.
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
        if pod.key == OUTSIDE:
            requests = [from_outside(self._model, one) for one in requests]
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
        """Who is meant; a place outside the mesh is made when it is first asked for."""
        pod = find_caller(self._model, name)
        if pod.key == OUTSIDE and not self._has_outside:
            plan = PodPlan(pod=pod, application=None, bootstrap=None, interception=None)
            self._sandbox.add_pods([plan], self.options.timeouts.start)
            self._has_outside = True
        return pod

    def explain(self, caller: str, url: str, **fields: Any) -> Explanation:
        """What the sidecars would do with a request, read from their configuration; nothing is sent.

        Takes what `request` takes. What the configuration leaves open is said as such.
        """
        identity = str(fields.pop("identity", None) or "")
        if identity:
            fields["tls"] = {**(fields.get("tls") or {}), "certificate": identity}
        pod = find_caller(self._model, caller)
        request = plain_request(url, fields)
        if pod.key == OUTSIDE:
            request = from_outside(self._model, request)
        return self._walker().explain(pod, request, identity)

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

    # -- tokens, and what stand-ins received -----------------------------------------------------------------

    @cached_property
    def keys(self) -> KeySet:
        """The keys that sign the mesh's tokens; stand-ins that play `jwks` serve them."""
        from meshtest.traffic.keys import KeySet  # noqa: PLC0415 - cryptography, only where there are tokens

        return KeySet()

    @property
    def jwks(self) -> str:
        """The JSON Web Key Set that verifies the mesh's tokens, as RequestAuthentication's `jwks` takes it."""
        return self.keys.jwks

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

    # -- faults ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def inject(self, *faults: FaultSpec, changes: Sequence[ChangeSpec] = ()) -> Iterator[ActiveFaults]:
        """Have faults in force inside the `with` block; they are recovered at its end, whatever happens.

        `changes` (`meshtest.change`) are made inside it, too: at once, or at their time on the traffic's clock.
        """
        ground = Ground(
            model=self._model,
            sandbox=self._sandbox,
            timeouts=self.options.timeouts,
            seed=self.seed,
            pushes=self._control,
        )
        wanted = named(changes)
        self._changes.expect(wanted)
        with self._faults.hold(faults, ground, [*self._changes.by_clock(wanted)]):
            self._changes.make_first(wanted)
            yield self._faults

    @property
    def changes_made(self) -> tuple[ChangeMade, ...]:
        """Every change of `inject` since `begin`."""
        return self._changes.made

    @property
    def fault_windows(self) -> tuple[FaultWindow, ...]:
        """Every fault since `begin`, with what it touched."""
        return self._faults.windows

    @property
    def history(self) -> History:
        """Everything since `begin`."""
        return History(
            exchanges=tuple(self._exchanges),
            faults=self._faults.windows,
            changes=self._changes.made,
            seed=self.seed,
        )

    def begin(self, seed: int) -> None:
        """Start a new history with a seed of its own."""
        self.seed = seed
        self._exchanges.clear()
        self._faults.forget()
        self._changes.forget()
        self._met = {pod.ip: pod for pod in self._model.pods}
        self._sender.begin(seed)
        self._flips = self._readiness.flips

    # -- processes -------------------------------------------------------------------------------------------

    def signal(self, pod: str, part: Part, action: Action) -> None:
        """Kill, stop, pause, resume or start again one half of a pod."""
        signal(self._sandbox, self._control, find_caller(self._model, pod), part, action)

    def execute(self, pod: str, argv: Sequence[str], *, timeout: float = 60.0) -> Completed:
        """Run a program of this machine inside a pod's namespaces to its end; seconds."""
        return self._sandbox.execute(self._caller(pod).key, argv, timeout=timeout)

    def logs(self, pod: str, part: Part) -> str:
        """The last lines that the application or the sidecar of a pod wrote."""
        return self._sandbox.logs(find_caller(self._model, pod).key, part)

    def admin(self, pod: str, path: str) -> str:
        """What the Envoy of a pod answers on its admin interface."""
        found = find_caller(self._model, pod)
        if not found.has_envoy:
            raise ScenarioError(f"{found.key} has no sidecar, so no admin interface")
        timeout = self.options.timeouts.push
        return self._sandbox.control_plane.call(
            "admin", timeout=timeout, proxy=found.node_id, path=path
        ).payload.decode()

    @functools.cached_property
    def envoy(self) -> str:
        """Which Envoys run in it, as they say themselves."""
        return versions(self._model.pods, lambda pod: self.admin(pod, "/server_info"))

    def close(self) -> None:
        """End every process of the mesh; idempotent."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _by_identity(manifests: Sequence[Manifest]) -> Objects:
    return {identity(manifest.ref): manifest for manifest in manifests}


def _say(line: str) -> None:
    import sys  # noqa: PLC0415 - the one place that prints

    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress of the one slow step, building the engine


def _mesh_config_text(config: Mapping[str, Any] | str | None) -> str | None:
    if config is None or isinstance(config, str):
        return config
    import yaml  # noqa: PLC0415 - loaded with the manifests anyway

    return str(yaml.safe_dump(dict(config)))
