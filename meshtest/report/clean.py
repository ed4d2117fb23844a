"""Makes values fit to be written down: plain JSON, no private keys, no path of somebody's home.

Policies and exchanges are evidence and stay verbatim but for keys.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import math
import re
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

REMOVED = "[key removed]"
_FORBIDDEN = re.compile(r"PRIVATE[ _]KEY", re.IGNORECASE)
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_BASE64_PEM = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/]+={0,2}")  # "-----BEGIN", as in a Secret's data
_VERBATIM = frozenset({"yaml", "exchanges"})


def without_keys(text: str) -> str:
    """The text with every private key, PEM or base64 of PEM, taken out."""
    text = _BASE64_PEM.sub(_without_encoded_key, text)
    if _FORBIDDEN.search(text):
        text = _PEM.sub(REMOVED, text)
    # Half a key, cut off somewhere: nothing of that text can be trusted.
    return REMOVED if _FORBIDDEN.search(text) else text


def _without_encoded_key(match: re.Match[str]) -> str:
    head = match.group()[:96]
    try:
        decoded = base64.b64decode(head[: len(head) // 4 * 4])
    except binascii.Error:
        return REMOVED
    return REMOVED if b"PRIVATE" in decoded else match.group()


def clean(value: Any, *, home: str = "") -> Any:
    """The value as plain JSON without private keys; paths under `home` start with `~` instead."""
    match value:
        case Enum():
            found = clean(value.value, home=home)
        case str():
            found = without_keys(value).replace(f"{home}/", "~/") if home else without_keys(value)
        case float():
            found = value if math.isfinite(value) else None
        case None | bool() | int():
            found = value
        case dict():
            found = dict(_clean_items(value, home))
        case list() | tuple() | set() | frozenset():
            found = [clean(item, home=home) for item in value]
        case _:
            found = clean(_plain(value), home=home)
    return found


def _clean_items(mapping: dict[Any, Any], home: str) -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        yield without_keys(str(key)), clean(value, home="" if key in _VERBATIM else home)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def home() -> str:
    """The home folder of whoever runs this, empty where there is none to hide."""
    try:
        found = str(Path.home())
    except RuntimeError:  # no HOME and no entry in passwd, as in some containers
        return ""
    return "" if found == "/" else found


_UNSEEN = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {127: "\u2421"}
_UNSEEN |= dict.fromkeys(range(0x80, 0xA0), "\ufffd") | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_UNSEEN |= {
    code: f"[U+{code:04X}]" for code in (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def printable(text: str) -> str:
    """The text with control characters and direction overrides made visible: it cannot pose as another."""
    return text.translate(_UNSEEN)
