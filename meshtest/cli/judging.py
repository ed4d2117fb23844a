"""Judges manifests and scenarios as a cluster judges them, and goes on after each mistake.

files ──► manifests one by one ──► model ──► engine: schema, CEL, admission ──► analyzers, where nothing is wrong
      └─► scenarios, each with its own mesh ──► the same
"""

from __future__ import annotations

import glob
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.cli.findings import Finding, of_error
from meshtest.cli.standing import Standing
from meshtest.errors import ManifestError, ScenarioError
from meshtest.faults.judging import judge
from meshtest.live.fixes import Guesses
from meshtest.live.mesh_settings import check_mesh_config, written_for
from meshtest.mesh.build import BuildOptions, build_model, locate
from meshtest.mesh.kinds import sort
from meshtest.mesh.manifests import identity, manifests_of, unique
from meshtest.mesh.mesh_config import mesh_config_in, settings_of, text_of
from meshtest.mesh.sources import SUFFIXES, read
from meshtest.mesh.yaml_source import documents
from meshtest.runner.collection import Judged, models
from meshtest.runtime.base import Capability
from meshtest.scenario.loader import load as load_scenarios
from meshtest.scenario.placement import check_placement
from meshtest.scenario.resolve import resolve
from meshtest.scenario.senders import check_senders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from meshtest.istiod.engine import Engine, Message
    from meshtest.mesh.mesh_config import MeshSettings, Written
    from meshtest.mesh.model import Manifest, MeshModel
    from meshtest.mesh.sources import Text
    from meshtest.runner.pool import MeshPool
    from meshtest.scenario.model import Scenario

SCENARIOS = (".mesh.yaml", ".mesh.yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What the paths of a command line name."""

    manifests: tuple[str, ...] = ()
    scenarios: tuple[Path, ...] = ()


@dataclass(slots=True, kw_only=True)
class Judgement:
    """What was looked at, and what is to be said of it."""

    findings: list[Finding] = field(default_factory=list)
    objects: int = 0
    scenarios: int = 0
    passed_over: list[Manifest] = field(default_factory=list)


def files_of(paths: Iterable[str]) -> Files:
    """Tell scenarios from manifests: scenarios lie anywhere below a folder, as pytest finds them, manifests in it."""
    manifests: list[str] = []
    scenarios: list[Path] = []
    for path in _matches(paths):
        if path != "-" and Path(path).is_dir():
            below = list(_scenarios_below(Path(path)))
            scenarios += below
            # The folder itself, where it has no scenario: reading it knows what kustomize and Helm leave there.
            manifests += _beside(Path(path)) if below else [path]
        elif path.endswith(SCENARIOS):
            scenarios.append(Path(path))
        else:
            manifests.append(path)
    return Files(manifests=tuple(dict.fromkeys(manifests)), scenarios=tuple(dict.fromkeys(scenarios)))


def _matches(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if path == "-" or Path(path).exists() or not glob.has_magic(path):
            yield path
        else:
            yield from sorted(glob.glob(path, recursive=True)) or [path]  # noqa: PTH207 - an absolute pattern too


def _scenarios_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.name.endswith(SCENARIOS) and path.is_file():
            yield path


def _beside(folder: Path) -> list[str]:
    return [
        str(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix in SUFFIXES and not path.name.endswith(SCENARIOS)
    ]


class Judge:
    """Judges one command line's worth of files."""

    def __init__(self, pool: MeshPool) -> None:
        self._pool = pool
        self._allowed = pool.options.allow_unsupported
        self._engine: Engine = pool.judge()  # started first: it comes up while the files are read
        self._standing = Standing(self._engine)
        self._judged = Judged()
        self.judgement = Judgement()

    def judge(self, files: Files) -> Judgement:
        """Everything that is to be said."""
        if files.manifests:
            self._manifests(files.manifests)
        for path in files.scenarios:
            self._scenarios(path)
        return self.judgement

    def _tell(self, exc: ScenarioError) -> None:
        self.judgement.findings += of_error(exc)

    # -- manifests -------------------------------------------------------------------------------------------

    def _manifests(self, paths: Sequence[str]) -> None:
        fine = self._sound(self._read(paths))
        self.judgement.objects += len(fine)
        written = self._sound_config(mesh_config_in(fine))
        model = self._model(fine, settings_of(text_of(written)))
        self.judgement.passed_over += model.passed_over
        self.judgement.findings += [_unsupported(one) for one in model.unsupported]
        self._engine_on(model, written)

    def _sound_config(self, written: Written | None) -> Written | None:
        """The MeshConfig of the manifests, where nothing is wrong with it."""
        told = len(self.judgement.findings)
        self._look(partial(check_mesh_config, written, self._engine, allow_unsupported=self._allowed))
        return written if len(self.judgement.findings) == told else None

    def _read(self, paths: Sequence[str]) -> Iterator[Manifest]:
        for path in paths:
            try:
                texts = list(read([path]))
            except ManifestError as exc:
                self._tell(exc)
                continue
            for text in texts:
                try:
                    yield from _objects(text)
                except ManifestError as exc:
                    self._tell(exc)

    def _sound(self, manifests: Iterable[Manifest]) -> list[Manifest]:
        """Those that can be looked at further."""
        fine: dict[tuple[str, str, str, str], Manifest] = {}
        for one in manifests:
            try:
                sort([one], allow_unsupported=self._allowed)
                if (first := fine.get(identity(one.ref))) is not None:
                    unique([first, one])
            except ManifestError as exc:
                self._tell(exc)
            else:
                fine[identity(one.ref)] = one
        return list(fine.values())

    def _model(self, manifests: list[Manifest], settings: MeshSettings) -> MeshModel:
        """The model of what is left after the objects that no model can be made of."""
        while True:
            try:
                made = self._pool.deployed(manifests)
                options = BuildOptions(settings=settings, allow_unsupported=self._allowed)
                return build_model(manifests, made=made, options=options)
            except ManifestError as exc:
                self._tell(exc)
                culprit = _culprit(exc, manifests)
                if culprit is None:
                    manifests = []
                manifests = [one for one in manifests if one is not culprit]

    # -- scenarios -------------------------------------------------------------------------------------------

    def _scenarios(self, path: Path) -> None:
        try:
            scenarios = load_scenarios(path)
        except ScenarioError as exc:
            self._tell(exc)
            self.judgement.scenarios += 1  # at least
            return
        for scenario in scenarios:
            self.judgement.scenarios += 1
            self._scenario(scenario)

    def _scenario(self, scenario: Scenario) -> None:
        try:
            model, *later = models(scenario, self._pool)
            resolve(scenario, model, later)
        except ScenarioError as exc:
            self._tell(exc)
            return
        self._fault_by_fault(scenario, model)
        for each in (model, *later):
            self._engine_on(each, written_for(scenario, each.manifests))

    def _fault_by_fault(self, scenario: Scenario, model: MeshModel) -> None:
        """What can be said of the faults, whatever the runtime can do: it may run elsewhere."""
        alone = [replace(scenario, faults=(one,)) for one in scenario.faults]
        looks: list[Callable[[], object]] = [
            partial(judge, each.faults, model, tuple(Capability)) for each in alone
        ]
        looks += [partial(check_senders, scenario, model), partial(check_placement, scenario, model)]
        told = len(self.judgement.findings)
        for look in looks:
            self._look(look)
        if len(self.judgement.findings) == told:  # each by itself is fine
            self._look(partial(judge, scenario.faults, model, tuple(Capability)))

    def _look(self, look: Callable[[], object]) -> None:
        try:
            look()
        except ScenarioError as exc:
            self._tell(exc)

    # -- the engine ------------------------------------------------------------------------------------------

    def _engine_on(self, model: MeshModel, written: Written | None) -> None:
        messages = self._engine.validate(self._judged.fresh(model))
        if not any(message.level == "error" for message in messages):
            # The analyzers cannot read what has errors. Their advice may rest on what lies elsewhere: a warning.
            messages += self._engine.analyze([dict(body) for body in model.objects])
            self.judgement.findings += self._standing.of(model, text_of(written))
        guesses = Guesses(self._engine, model)
        self.judgement.findings += [_finding(message, model, guesses) for message in messages]


def _objects(text: Text) -> list[Manifest]:
    found = manifests_of(documents(text.text, text.name))
    if not found:
        raise ManifestError("no object in this file", location=text.start)
    return found


def _finding(message: Message, model: MeshModel, guesses: Guesses) -> Finding:
    place = locate(model, message.object, message.path)
    analyzed = message.code.startswith("IST")
    return Finding(
        level="warning" if analyzed and message.level == "error" else message.level,
        code=message.code,
        message=" ".join(message.message.split()),
        file=place.file if place else "",
        line=place.line if place else 0,
        object=str(message.object) if message.object.kind else "",
        path=message.path,
        fix=guesses.of(message),
    )


def _unsupported(manifest: Manifest) -> Finding:
    return Finding(
        level="warning",
        code="unsupported",
        message="nothing acts on this kind",
        file=manifest.location.file,
        line=manifest.location.line,
        object=str(manifest.ref),
    )


def _culprit(exc: ManifestError, manifests: Iterable[Manifest]) -> Manifest | None:
    """The object that an error is about: the last that begins before its line."""
    place = exc.location
    if place is None:
        return None
    before = [one for one in manifests if one.location.file == place.file and one.location.line <= place.line]
    return max(before, key=lambda one: one.location.line, default=None)
