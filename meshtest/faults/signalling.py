"""Signals to processes of pods, with a word to the control plane about sidecars that it need not wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.runtime.base import Action, Part

if TYPE_CHECKING:
    from meshtest.faults.base import Pushes
    from meshtest.mesh.model import Pod
    from meshtest.runtime.base import Sandbox

_ENDS = frozenset({Action.KILL, Action.STOP, Action.PAUSE})


def signal(sandbox: Sandbox, pushes: Pushes | None, pod: Pod, part: Part, action: Action) -> None:
    """Do it to one half of a pod; a sidecar that runs again catches up with what it has missed."""
    told = pushes if part is Part.SIDECAR and pod.has_envoy else None
    if told is not None and action in _ENDS:
        told.leave_out(pod.node_id)
    sandbox.signal(pod.key, part, action)
    if told is not None and action not in _ENDS:
        told.take_in(pod.node_id, anew=action is Action.START)
