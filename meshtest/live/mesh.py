"""A mesh that runs: the Python face of meshtest.

manifests ─► model ─► istiod's answers ─► sidecars       request(), send(), inject() ─► exchanges with their hops
"""

from __future__ import annotations

import contextlib
import functools
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from meshtest.errors import ScenarioError, Unsupported
from meshtest.faults.base import Ground
from meshtest.faults.signalling import signal
from meshtest.istiod.deployments import GatewayDeployments
from meshtest.live.applications import in_code, unknown_names
from meshtest.live.arguments import member, options_of
from meshtest.live.assembly import Surroundings, network_plan, sandbox_plan
from meshtest.live.calls import Calls
from meshtest.live.changing import Changes
from meshtest.live.control import ControlPlane, SharedDisk
from meshtest.live.envoys import admin_answer, admin_path, versions
from meshtest.live.faulting import are_faults
from meshtest.live.mesh_settings import at_its_place
from meshtest.live.notices import Notice
from meshtest.live.policies import Policies
from meshtest.live.probing import ask
from meshtest.live.readiness import Readiness
from meshtest.live.requests import find_caller
from meshtest.live.roles import EVERYWHERE
from meshtest.live.sending import Sender
from meshtest.live.state import MeshOptions
from meshtest.mesh.manifests import load_in_turn
from meshtest.mesh.mesh_config import text_of
from meshtest.runtime.abilities import Preparing, Reserving
from meshtest.runtime.base import Action, Capability, Part
from meshtest.scenario.changes import named
from meshtest.traffic.record import History

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from meshtest.istiod.engine import Engine
    from meshtest.live.faulting import ActiveFaults
    from meshtest.mesh.model import Manifest, MeshModel
    from meshtest.mesh.sources import Source
    from meshtest.runtime.base import Completed, Runtime, Sandbox
    from meshtest.scenario.changes import ChangeSpec
    from meshtest.scenario.faults import FaultSpec
    from meshtest.scenario.images import ImageSpec
    from meshtest.traffic.record import ChangeMade, FaultWindow


class Mesh(Policies, Calls):
    """A running mesh; a context manager that ends every process of it.

    Raises ManifestError where a cluster would refuse the manifests, RuntimeFailure where this machine cannot run
    it, ConfigurationRejected where an Envoy refuses what istiod made of it.
    """

    def __init__(
        self,
        manifests: Sequence[Manifest],
        options: MeshOptions,
        engine: Engine | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """Start the mesh; an engine that is given is its owner's to end, a runtime is the mesh's from now on."""
        super().__init__(manifests, options)
        self._changes = Changes(self)
        self._readiness = Readiness(
            lambda pod, probe: ask(self._sender, self._sandbox, pod, probe, self._outside),
            self._look_who_is_ready,
        )
        try:
            self._start(engine, runtime)
        except BaseException:
            self.close()
            raise

    @classmethod
    def from_manifests(
        cls,
        *sources: Source,
        runtime: str = "auto",
        mesh_config: Mapping[str, Any] | str | Path | None = None,
        commands: Mapping[str, Sequence[str]] | None = None,
        calls: Mapping[str, Sequence[str]] | None = None,
        images: Mapping[str, ImageSpec | str] | None = None,
        proxies: Mapping[str, str] | None = None,
        external: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Start the mesh that manifests describe; returns when every sidecar has its configuration.

        Args:
            sources: files, folders, globs, YAML text or mappings; of an object that two hold, the later wins.
            runtime: `auto`, `netns` or `docker`.
            mesh_config: Istio's MeshConfig, as a mapping, YAML or a file; without it that of a ConfigMap `istio` in
                `istio-system`.
            commands: `ns/workload` -> argv of a program that runs instead of the stand-in service; the workload may
                also come later, by `apply`.
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
            applications=in_code(
                calls=calls, commands=commands, images=images, proxies=proxies, external=external
            ),
            **options_of(options),
        )
        return cls(load_in_turn(sources, allow_unsupported=chosen.allow_unsupported), chosen)

    def _start(self, engine: Engine | None, runtime: Runtime | None) -> None:
        """Bring the engine, the sandbox and every pod up side by side, then make the configuration live."""
        began = time.monotonic()
        engine = engine or self._own_engine()
        self.engine = engine
        self._deployments = GatewayDeployments(engine)
        self._take(runtime or self._choose_runtime())
        written = self._in_force(self._mesh_config)
        with at_its_place(written, engine):
            self._model = self._build(written)
        timeouts = self.options.timeouts.for_sidecars(sum(pod.has_envoy for pod in self._model.pods))
        self.options = replace(self.options, timeouts=timeouts)
        unknown = [*unknown_names(self._model, self._applications)]
        if unknown and not self.options.later_workloads:
            raise unknown[0]
        sandbox = self._start_sandbox(self._model)
        self._sandbox = sandbox
        external = self.options.applications.external
        disk = SharedDisk(files=external.files(), roots=external.public_root)
        self._control = ControlPlane(engine, sandbox.control_plane, self.options.timeouts, disk)
        self._reachable, self._network = self._model, network_plan(self._model)
        self._control.on_names = lambda: self._tell_network(self._reachable)
        with at_its_place(written, engine):
            pushed = self._control.change(
                self._model, text_of(written), lambda: sandbox.ready(self.options.timeouts.start)
            )
        self._sender = Sender(sandbox.driver, self._log, self.options.timeouts, self.seed)
        self._stack.callback(self._readiness.close)
        self._await_ready(self._probe(self._model))
        pushed = self._all_told(pushed)
        later = (
            Notice(level="warning", code="name", message=each.problem, object=each.key) for each in unknown
        )
        self.notices = (*later, *pushed.notices)
        self.timings = {"start": time.monotonic() - began, "engine": pushed.engine, "push": pushed.push}

    def _own_engine(self) -> Engine:
        from meshtest.istiod.binary import find_or_build  # noqa: PLC0415 - only where no engine is given
        from meshtest.istiod.engine import Engine  # noqa: PLC0415 - as above

        switches = {**self.options.applications.switches, **self.options.engine_env}
        engine = Engine.start(find_or_build(_say), env=switches)
        self._stack.callback(engine.close)
        return engine

    def _choose_runtime(self) -> Runtime:
        from meshtest.runtime import choose  # noqa: PLC0415 - only where none is given

        return choose(self.options.runtime)

    def _take(self, runtime: Runtime) -> None:
        """Have the runtime get ready; what it made meanwhile goes with the mesh."""
        if isinstance(runtime, Reserving | Preparing):
            self._stack.callback(runtime.release)
        asked = self.options.applications
        if (asked.images or asked.proxies) and Capability.IMAGES not in runtime.capabilities():
            raise Unsupported(f"the {runtime.name} runtime runs no images: use --mesh-runtime=docker")
        self.runtime, self._runtime = runtime.name, runtime
        if isinstance(runtime, Reserving):
            self._pod_network = runtime.reserve()
        if isinstance(runtime, Preparing):
            runtime.prepare(EVERYWHERE)
        self._surroundings = Surroundings(socket_mark=runtime.socket_mark, resolver=runtime.resolver)

    def _start_sandbox(self, model: MeshModel) -> Sandbox:
        from meshtest.envoy.binary import find_envoy  # noqa: PLC0415 - only where a mesh is started

        runtime = self._runtime
        envoy = "" if runtime.brings_envoy else str(find_envoy())
        plan = sandbox_plan(model, self._applications, envoy, self._authority, around=self._surroundings)
        sandbox = runtime.start(plan, self._log.feed)
        self._stack.callback(sandbox.close)
        return sandbox

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
        wanted, faults = named(changes), are_faults(faults)
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

    def signal(self, pod: str, part: Part | str, action: Action | str) -> None:
        """`kill`, `stop`, `pause`, `resume` or `start` again the `application` or the `sidecar` of a pod."""
        which, what = member(Part, part, "part"), member(Action, action, "action")
        signal(self._sandbox, self._control, find_caller(self._model, pod), which, what)

    def execute(self, pod: str, argv: Sequence[str], *, timeout: float = 60.0) -> Completed:
        """Run a program of this machine inside a pod's namespaces to its end; seconds."""
        return self._sandbox.execute(self._caller(pod).key, argv, timeout=timeout)

    def logs(self, pod: str, part: Part | str = Part.APPLICATION) -> str:
        """The last lines that the `application` or the `sidecar` of a pod wrote."""
        return self._sandbox.logs(find_caller(self._model, pod).key, member(Part, part, "part"))

    def admin(self, pod: str, path: str) -> str:
        """What the Envoy of a pod answers on its admin interface."""
        found = find_caller(self._model, pod)
        if not found.has_envoy:
            raise ScenarioError(f"{found.key} has no sidecar, so no admin interface")
        asked, timeout = admin_path(path), self.options.timeouts.push
        said = self._sandbox.control_plane.call("admin", timeout=timeout, proxy=found.node_id, path=asked)
        return admin_answer(asked, said.header["status"], said.payload.decode())

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


def _say(line: str) -> None:
    import sys  # noqa: PLC0415 - the one place that prints

    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress of the one slow step, building the engine
