"""What a running mesh is told: manifests that come, change and go, until that is live on every sidecar."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshtest.errors import ConfigurationRejected, ScenarioError
from meshtest.live.arguments import meant
from meshtest.live.assembly import network_plan, outgrown, pod_plan
from meshtest.live.foreign import foreign
from meshtest.live.key_sets import CODE, authorities_of
from meshtest.live.mesh_settings import at_its_place
from meshtest.live.miscast import miscast
from meshtest.live.notices import Notice, analysis
from meshtest.live.probing import probed
from meshtest.live.state import MeshState, by_identity, mesh_config_text
from meshtest.mesh.build import BuildOptions, build_model
from meshtest.mesh.manifests import load_in_turn
from meshtest.mesh.mesh_config import Written, mesh_config_in, settings_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.live.control import Pushed
    from meshtest.live.probing import Probed
    from meshtest.live.state import Objects
    from meshtest.mesh.model import Manifest, MeshModel
    from meshtest.mesh.sources import Source


class Policies(MeshState):
    """The half of `Mesh` that takes manifests."""

    def apply(self, *sources: Source | Manifest) -> Pushed:
        """Add or replace objects, as `kubectl apply`; returns when they are live on every sidecar.

        Under a fault of the control plane it does not wait for the sidecars that the fault keeps from it.
        """
        changed = by_identity(self._load(sources))
        return self._change({**self._applied, **changed}, self._mesh_config)

    def replace(
        self, *sources: Source | Manifest, mesh_config: Mapping[str, Any] | str | None = None
    ) -> Pushed:
        """Have exactly these objects besides the manifests that the mesh was started with.

        `mesh_config` replaces Istio's MeshConfig; without it the one the mesh was started with holds, or that of a
        ConfigMap `istio` in `istio-system`.
        """
        wanted = by_identity(self._load(sources))
        config = mesh_config_text(self.options.mesh_config if mesh_config is None else mesh_config)
        return self._change(wanted, config, self._started_with)

    def delete(self, *sources: Source | Manifest) -> Pushed:
        """Remove the objects that these sources hold, as `kubectl delete -f`, or that `KIND/NAME` names.

        `KIND/NAMESPACE/NAME` is one of another namespace than `default`.
        """
        gone = by_identity(self._load([meant(source, self._model.manifests) for source in sources]))
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

    def _load(self, sources: Sequence[Source | Manifest]) -> list[Manifest]:
        from meshtest.mesh.model import Manifest  # noqa: PLC0415 - a value at run time, a type elsewhere

        ready = [source for source in sources if isinstance(source, Manifest)]
        paths = [source for source in sources if not isinstance(source, Manifest)]
        return [*ready, *load_in_turn(paths, allow_unsupported=self.options.allow_unsupported)]

    def _in_force(
        self, mesh_config: str | None, applied: Objects | None = None, base: Objects | None = None
    ) -> Written | None:
        """The MeshConfig that is given, or else what the manifests say, as in a cluster."""
        if mesh_config is not None:
            return Written(text=mesh_config)
        objects = {
            **(self._base if base is None else base),
            **(self._applied if applied is None else applied),
        }
        return mesh_config_in(objects.values())

    def _build(
        self,
        written: Written | None,
        applied: Objects | None = None,
        base: Objects | None = None,
        previous: MeshModel | None = None,
    ) -> MeshModel:
        external = self.options.applications.external
        given = by_identity(external.secrets())
        manifests = [*{**given, **(self._base if base is None else base), **(applied or {})}.values()]
        options = BuildOptions(
            settings=settings_of(text_of(written)),
            allow_unsupported=self.options.allow_unsupported,
            pod_network=self._pod_network,
            external=external.hosts,
            proxies=self.options.applications.proxies,
            switches=self.options.engine_env,
            own_root=self._own_root,
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
            fresh = [key for key, (pod, *_) in wanted if not pod.goes_on(before.get(key))]
        if self._control.outage:
            return pushed
        self._await_ready(fresh)
        return self._all_told(pushed)

    def _all_told(self, pushed: Pushed) -> Pushed:
        """With what istiod fetches live, too, and what is to be said of stand-ins and gateways for the first time."""
        pushed = self._with_key_sets(pushed)
        settings = settings_of(text_of(self._in_force(self._mesh_config)))
        found = (*miscast(self._model, settings.authorizers, self._applications), *foreign(self._model))
        fresh = (each for each in found if each not in self._warned)
        pushed = replace(pushed, notices=(*pushed.notices, *fresh))
        self._warned = found
        return pushed

    def _with_key_sets(self, pushed: Pushed) -> Pushed:
        """Have the keys that istiod fetches live, too: servers are there now, so another push brings them."""
        sources = self._key_sets.wanted(self._model)
        if not sources:
            return pushed
        place, known = self._outside(), set(self._key_sets.missed)
        authorities = authorities_of(self._model, self.options.applications.external.public_root)
        again = pushed
        if self._key_sets.fetch(sources, lambda request: self._sender.quietly(place, request), authorities):
            with self._changing:
                config = self._in_force(self._mesh_config)
                again = self._control.change(self._key_sets.filled(self._model), text_of(config))
        news = known != set(self._key_sets.missed) or any(each.code == CODE for each in pushed.notices)
        return replace(
            pushed,
            engine=pushed.engine + (again.engine if again is not pushed else 0),
            push=pushed.push + (again.push if again is not pushed else 0),
            notices=(
                *(each for each in pushed.notices if each.code != CODE),
                *(self._key_sets.notices(self._model) if news else ()),
            ),
        )

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
        written = self._in_force(mesh_config, applied, base)
        with at_its_place(written, self.engine):
            model = self._build(written, applied, base, old)
        before, after = {pod.key: pod for pod in old.pods}, {pod.key: pod for pod in model.pods}
        grown = {*outgrown(old, model, self._applications)}
        fresh = [pod for pod in model.pods if not pod.goes_on(before.get(pod.key)) or pod.key in grown]
        stale = [*(before.keys() - after.keys()), *(pod.key for pod in fresh if pod.key in before)]

        def start_pods() -> None:
            replaced = [key for key in stale if key in after]
            if replaced:
                self._sandbox.remove_pods(replaced)
            self._tell_network(model)
            if fresh:
                plans = [pod_plan(model, pod, self._applications, self._surroundings) for pod in fresh]
                self._sandbox.add_pods(plans, self.options.timeouts.start)

        try:
            with at_its_place(written, self.engine):
                pushed = self._control.change(
                    self._key_sets.filled(model), text_of(written), start_pods, again=grown
                )
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
