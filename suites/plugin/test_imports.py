"""What it costs to have meshtest installed where pytest is used for something else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = [
    "asyncio", "cryptography", "dnslib", "docker", "envoy", "google.protobuf", "grpc", "h2", "httptools", "jinja2",
    "pyroute2", "testcontainers", "toxiproxy", "wsproto", "yaml",
]  # fmt: skip
LISTS = "import {}, json, sys; print(json.dumps(sorted(sys.modules)))"


def modules_with(name: str) -> list[str]:
    """What a fresh interpreter has loaded after this import."""
    done = subprocess.run([sys.executable, "-c", LISTS.format(name)], stdout=subprocess.PIPE, check=True)
    return [str(one) for one in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    return modules_with("meshtest.pytest_plugin")


@pytest.mark.parametrize("name", HEAVY)
def test_the_plugin_loads_nothing_heavy(loaded: list[str], name: str) -> None:
    assert name not in loaded


def test_the_plugin_loads_four_modules_of_meshtest(loaded: list[str]) -> None:
    ours = [name for name in loaded if name.partition(".")[0] == "meshtest"]
    assert ours == [
        "meshtest",
        "meshtest.pytest_plugin",
        "meshtest.runner",
        "meshtest.runner.gatherer",
        "meshtest.runner.session",
    ]
