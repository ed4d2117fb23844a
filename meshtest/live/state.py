"""What a running mesh is made of, and what it knows.

    state ◄── policies  what it is told   ◄── mesh  its start and end, faults, processes
          ◄── calls     what it is asked

The halves of `Mesh` work on it.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.errors import ScenarioError, nearest
from meshtest.live.applications import Applications
from meshtest.live.faulting import ActiveFaults
from meshtest.live.key_sets import MODE, KeySets
from meshtest.mesh.addresses import POD_NETWORK
from meshtest.mesh.manifests import identity
from meshtest.mesh.outside import outside_pod
from meshtest.runtime.base import PodPlan
from meshtest.traffic.history import AccessLog
from meshtest.waiting import Timeouts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshtest.explain.walk import Walker
    from meshtest.istiod.deployments import GatewayDeployments
    from meshtest.istiod.engine import Engine
    from meshtest.live.assembly import Surroundings
    from meshtest.live.changing import Changes
    from meshtest.live.control import ControlPlane
    from meshtest.live.external import Credentials
    from meshtest.live.notices import Notice
    from meshtest.live.readiness import Readiness
    from meshtest.live.sending import Sender
    from meshtest.mesh.model import Manifest, MeshModel, Pod, Service
    from meshtest.runtime.base import NetworkPlan, Sandbox
    from meshtest.traffic.keys import KeySet
    from meshtest.traffic.model import Exchange


Objects = dict[tuple[str, str, str, str], "Manifest"]
"""Group, kind, namespace and name -> the object, whatever its version."""
MOST_EXCHANGES = 100_000
"""How many a mesh remembers for its history; the oldest are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshOptions:
    """How a mesh is built; everything has a default."""

    runtime: str = "auto"
    mesh_config: Mapping[str, Any] | str | Path | None = None
    """Istio's MeshConfig, as in `meshConfig:` of an IstioOperator."""
    applications: Applications = field(default_factory=Applications)
    engine_env: Mapping[str, str] = field(default_factory=dict)
    """Switches of istiod (`PILOT_...`)."""
    seed: int | None = None
    allow_unsupported: bool = False
    later_workloads: bool = True
    """Whether `commands` and the like may name workloads that no manifest has yet; a notice says so."""
    timeouts: Timeouts = field(default_factory=Timeouts)


class MeshState:
    """The parts, most of which are there when it has started, and the state."""

    engine: Engine
    _changes: Changes
    _control: ControlPlane
    _deployments: GatewayDeployments
    _model: MeshModel
    _network: NetworkPlan
    _reachable: MeshModel
    """What the sandbox answers for."""
    _readiness: Readiness
    _sandbox: Sandbox
    _sender: Sender
    _surroundings: Surroundings

    def __init__(self, manifests: Sequence[Manifest], options: MeshOptions) -> None:
        self.options = options
        self.seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
        self.timings: dict[str, float] = {}
        self.notices: tuple[Notice, ...] = ()
        self._started_with = by_identity(manifests)
        self._base = self._started_with
        self._applied: Objects = {}
        self._authority = f"{random.SystemRandom().getrandbits(128):x}"
        """What the mesh's own authority is derived from."""
        self._applications = replace(options.applications, key_set=lambda: self.jwks)
        self._key_sets = KeySets(mode=options.engine_env.get(MODE, ""))
        self._warned: tuple[Notice, ...] = ()
        self._mesh_config = mesh_config_text(options.mesh_config)
        self._pod_network = POD_NETWORK
        self._has_outside = False
        self._making_outside = threading.Lock()
        self._explaining: tuple[MeshModel, Walker] | None = None
        self._log = AccessLog()
        self._stack = contextlib.ExitStack()
        self._faults = ActiveFaults()
        self._changing = threading.RLock()
        """Held from one state of the mesh to the next."""
        self._flips = 0
        self._met: dict[str, Pod] = {}
        self._exchanges: deque[Exchange] = deque(maxlen=MOST_EXCHANGES)

    @cached_property
    def keys(self) -> KeySet:
        """The keys that sign the mesh's tokens; stand-ins that play `jwks` serve them."""
        from meshtest.traffic.keys import KeySet  # noqa: PLC0415 - cryptography, only where there are tokens

        return KeySet()

    def _own_root(self) -> str:
        return self._derived_root

    @cached_property
    def _derived_root(self) -> str:
        from meshtest.envoy.pki import Authority  # noqa: PLC0415 - cryptography, only where somebody asks

        return Authority(seed=self._authority).root

    @property
    def jwks(self) -> str:
        """The JSON Web Key Set that verifies the mesh's tokens, as RequestAuthentication's `jwks` takes it."""
        return self.keys.jwks

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

    def _outside(self) -> Pod:
        """A place outside the mesh, made when it is first needed."""
        pod = outside_pod()
        with self._making_outside:
            if not self._has_outside:
                plan = PodPlan(pod=pod, application=None, bootstrap=None, interception=None)
                self._sandbox.add_pods([plan], self.options.timeouts.start)
                self._has_outside = True
        return pod

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


def by_identity(manifests: Iterable[Manifest]) -> Objects:
    """The objects, each under what makes it the same one in a cluster."""
    return {identity(manifest.ref): manifest for manifest in manifests}


_MESH_CONFIG = "a mapping, YAML, or the name of a file with it"


_YAML = frozenset(":{#\n")
"""Of these every MeshConfig has one, and hardly a file's name."""


def mesh_config_text(config: Mapping[str, Any] | str | Path | None) -> str | None:
    """MeshConfig as YAML; a mapping as JSON, whose words are quoted: Go reads a bare `y` as true."""
    if isinstance(config, Mapping):
        return json.dumps(dict(config), ensure_ascii=False)
    if config is None or (isinstance(config, str) and (not config.strip() or _YAML & set(config))):
        return config
    if not isinstance(config, str | Path):
        raise ScenarioError(f"{config!r} is none", key="mesh_config", expected=_MESH_CONFIG)
    try:
        return Path(config).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as exc:
        raise ScenarioError(f"no file {str(config)!r}", key="mesh_config", expected=_MESH_CONFIG) from exc
