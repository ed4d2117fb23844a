from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def invented() -> Any:
    """The module beside this file; these folders are no packages, so it is loaded by path."""
    spec = importlib.util.spec_from_file_location(
        "meshtest_invented_results", Path(__file__).with_name("invented.py")
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
