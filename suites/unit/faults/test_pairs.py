"""Every kind of fault has a scenario in which a policy is right, and a twin that meshtest must fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest.faults.families import FAMILIES
from meshtest.scenario import load
from meshtest.scenario.fault_workload import PARTS, ProcessFault

SUITES = Path(__file__).parents[2]
ELSEWHERE = {"limits", "packetDelay"}
"""Refused where runtime or kernel cannot do them; the pair of limits is resilience/test_limits.py."""
PROCESSES = ("kill", "stop", "pause", "restart")
KINDS = sorted(FAMILIES.keys() - {*PROCESSES, *ELSEWHERE}) + [
    f"{kind} {part}" for kind in PROCESSES for part in PARTS
]


@pytest.fixture(scope="module")
def found() -> dict[bool, set[str]]:
    """Kinds in scenarios that must pass (False), and in those that must fail (True)."""
    kinds: dict[bool, set[str]] = {False: set(), True: set()}
    for folder in ("resilience", "identity", "control-plane", "network"):
        for path in (SUITES / folder).glob("*.mesh.yaml"):
            for scenario in load(path):
                for fault in scenario.faults:
                    part = f" {fault.action.part}" if isinstance(fault.action, ProcessFault) else ""
                    kinds[scenario.expect_failure is not None].add(fault.kind + part)
    return kinds


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_fault_has_a_scenario_and_a_twin(found: dict[bool, set[str]], kind: str) -> None:
    assert kind in found[False], "no scenario survives it"
    assert kind in found[True], "no scenario is failed for it"
