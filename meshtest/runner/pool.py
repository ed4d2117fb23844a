"""The meshes of a test session: one per topology, started when first needed, shared by what names the same manifests.

collection: load -> model -> judged by istiod (engine only)        run: the same engine, a sandbox, policies swapped
"""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.errors import EngineError, RuntimeFailure, Unsupported
from meshtest.istiod.deployments import GatewayDeployments
from meshtest.live.applications import Applications, in_code
from meshtest.live.external import Externals
from meshtest.live.mesh import Mesh
from meshtest.live.mesh_settings import written_for
from meshtest.live.notices import analysis
from meshtest.live.state import MeshOptions
from meshtest.mesh.build import BuildOptions, build_model
from meshtest.mesh.gateway_api import is_gateway
from meshtest.mesh.manifests import load as load_manifests
from meshtest.mesh.manifests import merge
from meshtest.mesh.mesh_config import settings_of, text_of
from meshtest.runner.topology import check_options, options_here, sources_of, topology_of
from meshtest.runtime.abilities import Preparing
from meshtest.runtime.base import Capability

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from meshtest.istiod.engine import Engine
    from meshtest.live.notices import Notice
    from meshtest.mesh.model import Manifest, MeshModel
    from meshtest.mesh.sources import Source
    from meshtest.runner.topology import Topology
    from meshtest.runtime.base import Runtime
    from meshtest.scenario.images import ImageSpec
    from meshtest.scenario.model import Scenario

MOST_MESHES = 4
"""How many are kept running; the least recently used one ends for a new one."""


def _silent(line: str) -> None:
    """Progress that nobody shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """What all meshes of a session share."""

    runtime: str = "auto"
    seed: int | None = None
    allow_unsupported: bool = False
    root: Path = field(default_factory=Path)
    progress: Callable[[str], None] = _silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a Python test did with its mesh."""

    mesh: Mesh

    def entry(self, nodeid: str, line: int) -> dict[str, Any]:
        """The journal's entry, without the outcome, which pytest knows."""
        from meshtest.runner.result import test_entry  # noqa: PLC0415 - only where a Python test used a mesh

        return test_entry(nodeid, line, self.mesh.history, self.mesh.runtime, self.mesh.envoy)


class MeshPool:
    """Owns every engine and every mesh of a session; closing it ends them all."""

    def __init__(
        self, options: PoolOptions, judge: Engine | None = None, begun: Runtime | None = None
    ) -> None:
        """Take over what had a head start: an engine, and the session's runtime for the first mesh."""
        self.options = options
        self.seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
        """Of every random choice where a scenario has no seed of its own."""
        self._meshes: dict[Topology, Mesh] = {}
        self._manifests: dict[tuple[str, ...], Sequence[Manifest]] = {}
        self._judge = judge
        self._begun = begun
        self._no_engine: EngineError | None = None
        self._judge_is_free = True
        self._can: frozenset[Capability] | None = None
        self._stacks: dict[Topology, contextlib.ExitStack] = {}

    # -- collection ------------------------------------------------------------------------------------------

    def load(self, path: Path) -> list[Scenario]:
        """The scenarios of a file, judged; starts no pod."""
        from meshtest.runner.collection import collect  # noqa: PLC0415 - only where there is a scenario

        return collect(path, self)

    def capabilities(self, scenario: Scenario) -> frozenset[Capability]:
        """What the session's runtime can do, tried out only where a fault asks for something special."""
        from meshtest.faults.judging import NEEDS  # noqa: PLC0415 - only where there is a scenario
        from meshtest.runtime import choose  # noqa: PLC0415 - as above

        if self._can is None and any(fault.kind in NEEDS for fault in scenario.faults):
            try:
                self._can = choose(self.options.runtime).capabilities()
            except Unsupported:
                self._can = frozenset(Capability)  # what cannot run at all says so when it is to run
        return self._can or frozenset()

    def model(self, scenario: Scenario) -> MeshModel:
        """What the mesh of a scenario is with its own policies."""
        return self.built(self.given(scenario), scenario)

    def given(self, scenario: Scenario) -> list[Manifest]:
        """The manifests of a scenario's mesh and its own policies."""
        return merge(self.manifests(paths_of(scenario)), scenario.policies)

    def built(self, manifests: Sequence[Manifest], scenario: Scenario) -> MeshModel:
        """What the mesh of a scenario is with these manifests."""
        written = written_for(scenario, manifests)
        options = BuildOptions(
            settings=settings_of(text_of(written)),
            allow_unsupported=self.options.allow_unsupported,
            external=scenario.external,
            proxies=scenario.proxies,
        )
        return build_model(manifests, made=self.deployed(manifests), options=options)

    def deployed(self, manifests: Sequence[Manifest]) -> Sequence[Manifest]:
        """What istiod deploys for Gateways of the Gateway API; the engine is asked only where there is one."""
        return GatewayDeployments(self.judge()).of(manifests) if any(map(is_gateway, manifests)) else ()

    def manifests(self, paths: Sequence[str | Path]) -> Sequence[Manifest]:
        """The manifests of files, folders and texts, read once."""
        key = tuple(map(str, paths))
        if key not in self._manifests:
            self._manifests[key] = (
                load_manifests(paths, allow_unsupported=self.options.allow_unsupported) if key else []
            )
        return self._manifests[key]

    def judge(self) -> Engine:
        """The engine that judges manifests; the first mesh takes it over."""
        if self._no_engine is not None:  # a build that failed is not tried again for the next file
            raise self._no_engine
        if self._judge is None:
            try:
                self._judge = self._engine()
            except EngineError as exc:
                self._no_engine = exc
                raise
        return self._judge

    def _engine(self, env: Mapping[str, str] | None = None) -> Engine:
        from meshtest.istiod.binary import find_or_build  # noqa: PLC0415 - only where a mesh is wanted
        from meshtest.istiod.engine import Engine  # noqa: PLC0415 - as above

        return Engine.start(find_or_build(self.options.progress), env=env)

    def analysis(self, model: MeshModel) -> tuple[Notice, ...]:
        """What `istioctl analyze` says."""
        return analysis(self.judge(), model)

    # -- meshes ----------------------------------------------------------------------------------------------

    def mesh(self, scenario: Scenario, runtime: str) -> Mesh:
        """The running mesh of a scenario's manifests, started if it is not there."""
        applications = Applications(
            calls=scenario.calls,
            commands=scenario.commands,
            images=scenario.images,
            proxies=scenario.proxies,
            external=Externals(scenario.external),
        )
        return self._mesh(paths_of(scenario), applications, runtime, {})

    def mesh_for_test(
        self,
        manifests: Iterable[Source],
        folder: Path,
        *,
        runtime: str,
        calls: Mapping[str, Sequence[str]] | None = None,
        commands: Mapping[str, Sequence[str]] | None = None,
        images: Mapping[str, ImageSpec | str] | None = None,
        proxies: Mapping[str, str] | None = None,
        external: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Mesh:
        """The running mesh that a Python test names, without what earlier tests applied."""
        check_options(options)
        options = options_here(options, folder, self.options.root)
        sources = sources_of(manifests, folder, self.options.root)
        applications = in_code(
            calls=calls, commands=commands, images=images, proxies=proxies, external=external
        )
        mesh = self._mesh(sources, applications, runtime, options)
        try:
            mesh.replace()
        except RuntimeFailure:  # an earlier test broke it
            self.drop(mesh)
            return self._mesh(sources, applications, runtime, options)
        return mesh

    def _mesh(
        self,
        paths: Sequence[str | Path],
        applications: Applications,
        runtime: str,
        options: Mapping[str, Any],
    ) -> Mesh:
        topology = topology_of(paths, applications, runtime, options)
        if topology in self._meshes:
            self._meshes[topology] = self._meshes.pop(topology)  # most recently used last
            return self._meshes[topology]
        while len(self._meshes) >= MOST_MESHES:
            self._end(next(iter(self._meshes)))
        chosen = MeshOptions(
            runtime=runtime,
            applications=applications,
            seed=self.seed,
            later_workloads=False,
            allow_unsupported=self.options.allow_unsupported,
            **options,
        )
        switches = {**applications.switches, **(options.get("engine_env") or {})}
        with self._engine_of(topology, switches) as engine:
            self._meshes[topology] = Mesh(self.manifests(paths), chosen, engine, self._take(runtime))
        return self._meshes[topology]

    def _take(self, runtime: str) -> Runtime | None:
        """What was begun, for whoever wants that runtime first."""
        begun = self._begun
        if begun is None or runtime not in ("auto", begun.name):
            return None
        self._begun = None
        return begun

    @contextlib.contextmanager
    def _engine_of(self, topology: Topology, env: Mapping[str, str]) -> Iterator[Engine]:
        """An engine that lives as long as the mesh: the judge where it is free and no switches are asked for."""
        stack = contextlib.ExitStack()
        if self._judge_is_free and not env:
            self._judge_is_free = False
            engine = self.judge()
        else:
            engine = self._engine(env)
            stack.callback(engine.close)
        try:
            yield engine
        except BaseException:
            stack.close()
            raise
        self._stacks[topology] = stack

    @contextlib.contextmanager
    def recording(self, mesh: Mesh) -> Iterator[Recorded]:
        """Everything that a Python test sends, for the journal."""
        mesh.begin(self.seed)
        yield Recorded(mesh=mesh)

    def drop(self, mesh: Mesh) -> None:
        """End a mesh that failed; the next test that wants it gets a new one."""
        for topology, known in list(self._meshes.items()):
            if known is mesh:
                self._end(topology)

    def _end(self, topology: Topology) -> None:
        self._meshes.pop(topology).close()
        self._stacks.pop(topology).close()

    def close(self) -> None:
        """End everything; idempotent."""
        for topology in list(self._meshes):
            with contextlib.suppress(RuntimeFailure):
                self._end(topology)
        if isinstance(self._begun, Preparing):
            self._begun.release()
        self._begun = None
        if self._judge is not None:
            self._judge.close()
            self._judge = None


def paths_of(scenario: Scenario) -> list[Path]:
    """The files and folders that a scenario names."""
    return [path.resolve() for entry in scenario.manifests for path in entry.paths]
