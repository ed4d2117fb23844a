"""What a YAML scalar means to Kubernetes (sigs.k8s.io/yaml, which reads YAML 1.1 by way of JSON)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

STANDARD = "tag:yaml.org,2002:"
BOOLEANS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
NULLS = frozenset(("", "~", "null", "Null", "NULL"))
NOT_NUMBERS = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))\Z")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
BASES = (16, 2, 8, 10)
EXACT = 2**53


class NotJSON(ValueError):  # noqa: N818 - says what the value is
    """Raised when a scalar or a key has no place in JSON; the caller knows the line."""


def scalar(text: str, tag: str) -> Any:
    """The value of a scalar; `tag` is empty for one without quotes or tag."""
    if tag == "":
        return _plain(text)
    if tag == f"{STANDARD}binary":
        return _binary(text)
    if tag in {f"{STANDARD}{name}" for name in ("int", "float", "bool", "null")}:
        return _tagged(text, tag.removeprefix(STANDARD))
    return text


def key_text(value: Any) -> str:
    """A key as the string that JSON makes of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        raise NotJSON("an empty key")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(text: str) -> Any:
    if text in BOOLEANS:
        return BOOLEANS[text]
    if text in NULLS:
        return None
    if NOT_NUMBERS.match(text):
        raise NotJSON(f"{text} is not a number that Kubernetes can hold; quote it if it is a word")
    if text[0] in "+-.0123456789":
        return _number(text)
    return text


def _number(text: str) -> Any:
    plain = text if text[0] == "." else text.replace("_", "")
    if whole := INTEGER.match(plain):
        written = zip(whole.groups()[1:], BASES, strict=True)
        value = next(int(digits, base) for digits, base in written if digits)
        return -value if whole[1] == "-" else value
    if FLOAT.match(plain):
        value_ = float(plain)
        # Go writes a whole float64 without fraction, so the API server sees an integer
        return int(value_) if value_.is_integer() and abs(value_) < EXACT else value_
    return text


def _tagged(text: str, kind: str) -> Any:
    value = _plain(text)
    fits = {
        "bool": isinstance(value, bool),
        "null": value is None,
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, (int, float)) and not isinstance(value, bool),
    }
    if not fits[kind]:
        raise NotJSON(f"{text!r} is not a !!{kind}")
    return value


def _binary(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise NotJSON(f"!!binary does not hold base64 of UTF-8 text: {error}") from None
