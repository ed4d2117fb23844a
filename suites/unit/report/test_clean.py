from __future__ import annotations

import base64
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from meshtest.report.clean import REMOVED, clean, printable, without_keys

HEAD, TAIL = "-----BEGIN EC PRIVATE KEY-----", "-----END EC PRIVATE KEY-----"
PEM = f"{HEAD}\nMHcCAQEE\n{TAIL}\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


class Word(Enum):
    FAIL = "fail"


@pytest.mark.parametrize(
    "text",
    [
        PEM,
        f"tls.key: {base64.b64encode(PEM.encode()).decode()}",
        PEM.replace("\n", "\\n"),
        HEAD + "\nMHcCAQEE",
        "MHcCAQEE\n" + TAIL,
        PEM.replace("EC PRIVATE", "PRIVATE"),
        PEM.lower(),
    ],
    ids=["pem", "base64", "escaped", "no-end", "no-begin", "pkcs8", "lower-case"],
)
def test_removes_private_keys_in_every_shape(text: str) -> None:
    left = without_keys(f"before {text}")
    assert REMOVED in left
    assert "MHcCAQEE" not in left
    assert base64.b64encode(PEM.encode()).decode()[:30] not in left


def test_keeps_what_stands_around_a_key() -> None:
    assert without_keys(f"a\n{PEM}b") == f"a\n{REMOVED}\nb"


@pytest.mark.parametrize(
    "text", [CERTIFICATE, base64.b64encode(CERTIFICATE.encode()).decode()], ids=["pem", "base64"]
)
def test_keeps_certificates(text: str) -> None:
    assert without_keys(text) == text


def test_makes_plain_json_of_anything() -> None:
    value = {
        "a": Word.FAIL,
        1: (1.5, float("nan"), None, True),
        "path": Path("x/y"),
        "bytes": b"\xff!",
        PEM: {PEM},
    }
    assert clean(value) == {
        "a": "fail",
        "1": [1.5, None, None, True],
        "path": "x/y",
        "bytes": "\\xff!",
        f"{REMOVED}\n": [f"{REMOVED}\n"],
    }


def test_hides_the_home_folder_but_not_in_evidence() -> None:
    value: dict[str, Any] = {
        "file": "/home/jo/mesh/a.yaml",
        "yaml": "prefix: /home/jo/",
        "steps": ["/home/jo/b"],
    }
    assert clean(value, home="/home/jo") == {
        "file": "~/mesh/a.yaml",
        "yaml": "prefix: /home/jo/",
        "steps": ["~/b"],
    }


def test_shows_control_characters_and_direction_overrides() -> None:
    assert printable("a\x1b[31m\u202eb\ud800\tc\n") == "a\u241b[31m[U+202E]b\ufffd\tc\n"
    assert printable("שלום") == "שלום"
