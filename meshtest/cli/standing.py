"""Which Gateways, routes, policies and Ingresses are not in force, as istiod's controllers say in their status."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from meshtest.cli.findings import Finding
from meshtest.errors import EngineError, nearest
from meshtest.istiod.conditions import has_status, problems
from meshtest.istiod.engine import Rejected, ref_of
from meshtest.mesh.places import locate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.istiod.conditions import Problem
    from meshtest.istiod.engine import Engine
    from meshtest.mesh.model import MeshModel, ObjectRef

_BACKEND = re.compile(r"backend\(([^.)]+)[^)]*\) not found")
_PARENT = re.compile(r"no (\w+) [^/]+/(\S+) here takes")


class Standing:
    """Asks one engine about one mesh after the other; it is told only of what differs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told: Mapping[ObjectRef, Mapping[str, Any]] = {}
        self._mesh_config = "{}"

    def of(self, model: MeshModel, mesh_config: str | None = None) -> list[Finding]:
        """Warnings, since what is missing may lie elsewhere; none where nothing in the mesh has a status."""
        if not any(map(has_status, model.manifests)):
            return []
        try:
            self._tell({ref_of(body): body for body in model.objects}, mesh_config or "{}")
        except Rejected:
            return []  # said before, as the mistake that it is
        except EngineError as exc:
            self._told = {}
            return [Finding(level="error", code="panic", message=str(exc))]
        return [_finding(one, model) for one in problems(self._engine.status(), model.manifests)]

    def _tell(self, objects: Mapping[ObjectRef, Mapping[str, Any]], mesh_config: str) -> None:
        old = self._told
        self._engine.update(
            set=[dict(body) for ref, body in objects.items() if old.get(ref) is not body],
            delete=[ref for ref in old if ref not in objects],
            mesh_config=mesh_config if mesh_config != self._mesh_config else None,
        )
        self._told, self._mesh_config = objects, mesh_config


def _finding(problem: Problem, model: MeshModel) -> Finding:
    place = locate(model, problem.object, problem.path)
    return Finding(
        level="warning",
        code=problem.reason,
        message=" ".join(problem.message.split()),
        file=place.file if place else "",
        line=place.line if place else 0,
        object=str(problem.object),
        path=problem.path,
        fix=_guess(problem, model),
    )


def _guess(problem: Problem, model: MeshModel) -> str:
    """The name that was likely meant, where one leads to nothing."""
    if (missing := _BACKEND.search(problem.message)) is not None:
        return nearest(missing[1], (service.name for service in model.services)) or ""
    if (missing := _PARENT.match(problem.message)) is not None:
        return nearest(missing[2], (m.ref.name for m in model.manifests if m.ref.kind == missing[1])) or ""
    return ""
