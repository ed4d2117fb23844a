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
    if pushes is not None and action in _ENDS and _has_news(pod, part):
        pushes.leave_out(pod.node_id)
    sandbox.signal(pod.key, part, action)
    catch_up(pushes, pod, part, action)


def catch_up(pushes: Pushes | None, pod: Pod, part: Part, action: Action) -> None:
    """Have a sidecar that runs again by this action be told what it has missed."""
    if pushes is not None and action not in _ENDS and _has_news(pod, part):
        pushes.take_in(pod.node_id, anew=action is Action.START)


def _has_news(pod: Pod, part: Part) -> bool:
    return part is Part.SIDECAR and pod.has_envoy
