from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshtest.checks import Verdict, run
from meshtest.checks.text import render
from meshtest.errors import Location
from meshtest.traffic.record import ChangeMade

LOCK = ChangeMade(id="lock", what="apply AuthorizationPolicy default/locked", asked=1.0, made=1.5)
HELD = replace(LOCK, id="change-2", asked=2.0, made=2.1, held="the control plane is down")
NEVER = ChangeMade(id="change-3", what="delete Service default/a")


def judged(make: Any, *changes: ChangeMade) -> list[Any]:
    history = replace(make.history(make.many(3)), changes=changes)
    return [each for each in run([], history, make.facts) if "change" in each.name]


def test_a_change_says_when_it_was_live_and_what_held_it_up(make: Any) -> None:
    lock, held = judged(make, LOCK, HELD)
    assert (lock.verdict, lock.name) == (Verdict.PASS, "change lock")
    assert lock.reason == "apply AuthorizationPolicy default/locked in 500ms"
    assert held.name == "change-2"
    assert held.reason.endswith("in 100ms, held up: the control plane is down")


def test_a_change_whose_time_never_came_is_unknown(make: Any) -> None:
    (never,) = judged(make, NEVER)
    assert never.verdict is Verdict.UNKNOWN
    assert never.reason == "its time never came (delete Service default/a): the traffic had ended before"


def test_it_points_to_the_line_that_asks_for_it(make: Any) -> None:
    place = Location(file="a.mesh.yaml", line=9)
    history = replace(make.history(make.many(1)), changes=(LOCK,))
    (found,) = [
        each for each in run([], history, make.facts, changed={"lock": place}) if each.name == "change lock"
    ]
    assert found.location == place


@pytest.mark.parametrize(
    ("where", "changes", "count"),
    [
        ("before", (LOCK,), 2),
        ("after", (LOCK,), 2),
        ("before", (LOCK, HELD), 2),
        ("after", (LOCK, HELD), 1),
        ("after", (LOCK, NEVER), 0),
        ("before", (NEVER,), 0),
    ],
)
def test_where_a_request_stands_to_the_changes(
    make: Any, where: str, changes: tuple[ChangeMade, ...], count: int
) -> None:
    # the third is under way when the first change is asked for, the fourth when it is not yet live
    exchanges = [make.exchange(started=started, latency=0.1) for started in (0.1, 0.9, 0.95, 1.2, 1.5, 2.2)]
    history = replace(make.history(exchanges), changes=changes)
    spec = make.spec(f"{{status: 200, where: {{change: {where}}}}}")
    assert run([spec], history, make.facts)[0].observed["requests"] == count


def test_the_text_of_a_failure_says_what_was_done_and_when(make: Any, tmp_path: Any) -> None:
    from meshtest.scenario import load  # noqa: PLC0415

    file = tmp_path / "a.mesh.yaml"
    (tmp_path / "mesh.yaml").write_text("{apiVersion: v1, kind: Namespace, metadata: {name: a}}")
    file.write_text(
        "apiVersion: meshtest.dev/v1\nkind: Scenario\nmetadata: {name: a}\nspec:\n  manifests: [mesh.yaml]\n"
        "  traffic: {from: a, request: http://b/}\n  expect: [status: 200]\n"
    )
    (scenario,) = load(file)
    window = make.window(injected=0.5, leaving=1.75, recovered=2.0, hits=1, unit="pushes", placement="here")
    history = replace(make.history([make.exchange(503, started=0.0)], window), changes=(HELD, NEVER))
    lines = render(run(scenario.expect, history, make.facts), scenario, history).splitlines()
    assert "fault abort, +0.500 s to +2.000 s, met 1 push; here; recovered in 250ms" in lines
    assert "change-2, +2.000 s: apply AuthorizationPolicy default/locked (the control plane is down)" in lines
    assert "change-3, never: delete Service default/a" in lines
