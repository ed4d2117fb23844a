"""What an Envoy says when it refuses (NACKs) a resource, made readable.

Envoy quotes the whole message before its reason and cuts the text at 4 KiB; its admin interface keeps it all.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 3
_CUT = "...(truncated)"
_QUOTED = re.compile(r"goo\.gle/debug\w*\s.*\n: ", re.DOTALL)
_QUOTED_AND_CUT = re.compile(r"goo\.gle/debug\w*\s.*", re.DOTALL)

FAILED_LISTENERS = "/config_dump?resource=dynamic_listeners&mask=name,error_state.details"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One resource message that an Envoy refused."""

    pod: str
    kind: str
    names: tuple[str, ...]
    said: str
    on_purpose: bool = False
    """Whether a fault had it made to be refused."""

    @property
    def cut_off(self) -> bool:
        """Whether the reason may be missing."""
        return self.said.endswith(_CUT)

    def __str__(self) -> str:
        return f"{self.pod} refused {self._what}: {readable(self.said)}"

    @property
    def _what(self) -> str:
        return f"{self.kind} [{_listed(self.names)}]"


def summary(refusals: Sequence[Refusal]) -> str:
    """The first refusal of each reason, and who else refused for it."""
    pods: dict[str, dict[str, None]] = {}
    first: dict[str, Refusal] = {}
    for refusal in refusals:
        reason = readable(refusal.said)
        first.setdefault(reason, refusal)
        pods.setdefault(reason, {})[refusal.pod] = None
    lines = []
    for reason, refusal in first.items():
        others = [pod for pod in pods[reason] if pod != refusal.pod]
        lines.append(f"{refusal}{f' (and so did {_listed(others)})' if others else ''}")
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join([*names[:_SHOWN], *([f"{more} more"] if more > 0 else [])])


def readable(said: str) -> str:
    """Envoy's words without the quoted configuration."""
    text = _QUOTED.sub("", said)
    return _QUOTED_AND_CUT.sub("(Envoy's reason was cut off; its log has it)", text).strip()


def listener_failures(config_dump: bytes) -> str:
    """The whole reasons that the admin interface keeps of refused listeners."""
    entries = json.loads(config_dump).get("configs", ())
    failed = [entry for entry in entries if entry.get("error_state", {}).get("details")]
    return "; ".join(f"{entry.get('name', '')}: {entry['error_state']['details']}" for entry in failed)
