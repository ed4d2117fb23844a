"""What Envoys are asked on their admin interface, and what they say of themselves."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure, ScenarioError, nearest
from meshtest.live.arguments import words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshtest.mesh.model import Pod

_PATH = re.compile(r"/[!-~]*")
_COMMAND = re.compile(r"^  (/\w[\w/]*)", re.MULTILINE)
"""A line of the list with which Envoy answers what it does not know."""


def admin_path(path: object) -> str:
    """A path that can be asked for as it stands."""
    text = words(path, "path")
    if not _PATH.fullmatch(text):
        raise ScenarioError(
            f"{text!r} is no path",
            key="path",
            expected="/ and what follows it, without spaces",
            nearest=f"/{text}" if _PATH.fullmatch(f"/{text}") else None,
        )
    return text


def admin_answer(path: str, status: int, answer: str) -> str:
    """What was answered, unless Envoy takes the question for a mistake; one that is not ready says so with 503."""
    if not 400 <= status < 500:
        return answer
    known, command = _COMMAND.findall(answer), path.partition("?")[0]
    if status == 404 and known:
        problem = f"Envoy's admin interface has no {command!r}"
        raise ScenarioError(problem, key="path", nearest=nearest(command, known))
    why = next(iter(answer.strip().splitlines()), str(status))
    raise ScenarioError(f"Envoy refuses {path!r}: {why}", key="path")


def versions(pods: Sequence[Pod], ask: Callable[[str], str]) -> str:
    """`1.40.0`, and of each image of Istio's proxy: `1.39.1-dev (docker.io/istio/proxyv2:1.30.0: default/ratings-v1)`.

    `ask` is given a pod's key and answers with what its Envoy says at `/server_info`.
    """
    by_image: dict[str, list[Pod]] = {}
    for pod in pods:
        if pod.has_envoy:
            by_image.setdefault(pod.proxy_image, []).append(pod)
    return "; ".join(_said(image, having, ask) for image, having in sorted(by_image.items()))


def _said(image: str, pods: Sequence[Pod], ask: Callable[[str], str]) -> str:
    try:
        # The commit, the version, whether it is changed, the build, the TLS library.
        version = str(json.loads(ask(pods[0].key))["version"]).split("/")[1]
    except (RuntimeFailure, ValueError, KeyError, IndexError):
        version = "an Envoy that does not say its version"
    workloads = ", ".join(dict.fromkeys(pod.workload_key for pod in pods))
    return f"{version} ({image}: {workloads})" if image else version
