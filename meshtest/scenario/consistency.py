"""What must agree within one scenario: names that refer to each other, and times that fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.scenario import changes
from meshtest.scenario.expect import ALWAYS_IDENTITIES, Where
from meshtest.scenario.expect_time import Hits, Recovers, Returns
from meshtest.scenario.fields import unknown

if TYPE_CHECKING:
    from meshtest.scenario.expect import CheckSpec
    from meshtest.scenario.faults import FaultSpec
    from meshtest.scenario.fields import Spot
    from meshtest.scenario.model import Scenario
    from meshtest.scenario.traffic import Traffic

RECOVERY = "recovery"
"""The traffic that the runner sends after the faults, to see the steady state again."""


def check_consistency(scenario: Scenario, spot: Spot) -> Scenario:
    """Name what has no name, and raise ScenarioError where the scenario contradicts itself."""
    named = replace(
        scenario,
        traffic=_named_traffic(scenario.traffic, spot.key("traffic")),
        faults=_named_faults(scenario.faults, spot.key("faults")),
        changes=changes.distinct(scenario.changes, spot.key("changes")),
    )
    _phases_mean_something(named, spot.key("traffic"))
    _fit(named, spot)
    _times_are_known(named, spot.key("faults"))
    _checks_refer(named, spot.key("expect"))
    _failure_refers(named, spot.key("expectFailure"))
    return named


def _named_traffic(traffic: tuple[Traffic, ...], spot: Spot) -> tuple[Traffic, ...]:
    seen: set[str] = set()
    result = []
    for index, each in enumerate(traffic):
        name = each.name or ("traffic" if len(traffic) == 1 else f"traffic-{index + 1}")
        if name in seen or name == RECOVERY:
            problem = (
                "is the name of other traffic already"
                if name in seen
                else "is a name that meshtest uses itself"
            )
            raise spot.item(index).error(f"{name!r} {problem}", expected="a name of its own")
        seen.add(name)
        result.append(replace(each, name=name))
    return tuple(result)


def _phases_mean_something(scenario: Scenario, spot: Spot) -> None:
    for index, each in enumerate(scenario.traffic):
        if each.phase != "during" and not scenario.faults and not scenario.changes:
            raise (
                spot.item(index)
                .key("phase")
                .error(
                    f"{each.phase} what? The scenario has neither faults nor changes",
                    expected="faults or changes",
                )
            )


def _named_faults(faults: tuple[FaultSpec, ...], spot: Spot) -> tuple[FaultSpec, ...]:
    taken = {each.name for each in faults if each.name}
    result: list[FaultSpec] = []
    for index, each in enumerate(faults):
        if each.name and any(each.name == other.name for other in result):
            raise spot.item(index).error(
                f"{each.name!r} is the name of another fault already", expected="its own"
            )
        name = each.name or _free(each.kind, taken)
        taken.add(name)
        result.append(replace(each, name=name))
    return tuple(result)


def _free(kind: str, taken: set[str]) -> str:
    word = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in kind)
    number = 1
    while (name := word if number == 1 else f"{word}-{number}") in taken:
        number += 1
    return name


def _fit(scenario: Scenario, spot: Spot) -> None:
    """Refuse what would come after the end of the traffic."""
    lengths = [each.lasts for each in scenario.traffic if each.phase == "during"]
    ends = sum(length for length in lengths if length is not None)
    if None in lengths:
        return
    during = [fault.during for fault in scenario.faults]
    times = [
        *(
            ("the fault", spot.key("faults").item(n).key("during"), each.at)
            for n, each in enumerate(during)
            if each
        ),
        *(
            ("the change", spot.key("changes").item(n).key("at"), each.at)
            for n, each in enumerate(scenario.changes)
            if each.at is not None
        ),
    ]
    for what, here, at in times:
        if at >= ends:
            problem = f"{what} comes at {at:g}s, but the traffic ends at {ends:g}s"
            raise here.error(problem, expected="at before the traffic's end")


def _times_are_known(scenario: Scenario, spot: Spot) -> None:
    """Refuse a time that depends on when a request is sent where nobody knows that beforehand."""
    paced = [each for each in scenario.traffic if each.rate is None and each.phase == "during"]
    for index, fault in enumerate(scenario.faults):
        late = next((name for name in ("during", "until") if _needs_a_rate(fault, name)), "")
        if late and paced:
            here = spot.item(index).key(late)
            problem = f"needs to know when each request is sent, and {paced[0].name} has no rate"
            instead = "rate: 100/s with for: 3s in traffic" + ("; or first" if fault.of_requests else "")
            raise here.error(f"{late} of {fault.kind} {problem}", expected=instead)


def _needs_a_rate(fault: FaultSpec, name: str) -> bool:
    if name == "during":
        return fault.of_requests and fault.during is not None
    return not fault.of_requests and fault.until is not None


def _checks_refer(scenario: Scenario, spot: Spot) -> None:
    names = [each.name for each in scenario.traffic]
    seen: set[str] = set()
    for index, check in enumerate(scenario.expect):
        here = spot.item(index)
        if check.traffic and check.traffic not in names:
            raise unknown(here.key("traffic"), "traffic", check.traffic, names)
        if check.name and check.name in seen:
            raise here.key("name").error(
                f"{check.name!r} is the name of another check already", expected="its own"
            )
        seen.add(check.name)
        _needs_faults(check, scenario, here)


def _needs_faults(check: CheckSpec, scenario: Scenario, spot: Spot) -> None:
    asks = isinstance(check.what, (Hits, Recovers, Returns)) or check.where.fault or check.where.phase
    if check.where.change and not scenario.changes:
        raise spot.key("where").key("change").error("the scenario has no change", expected="changes")
    if asks and not scenario.faults:
        raise spot.error("this is about faults, but the scenario has none", expected="faults")
    if isinstance(check.what, Hits) and (check.traffic or check.where != Where()):
        raise spot.key("traffic" if check.traffic else "where").error(
            "hits are all that the faults touched",
            expected="of: and the name of a fault; or status with where",
        )
    if isinstance(check.what, Hits) and check.what.of:
        names = [fault.name for fault in scenario.faults]
        if check.what.of not in names:
            raise unknown(spot.key("hits").key("of"), "fault", check.what.of, names)


def _failure_refers(scenario: Scenario, spot: Spot) -> None:
    failure = scenario.expect_failure
    if failure is None:
        return
    titles = [*(check.title for check in scenario.expect), ALWAYS_IDENTITIES]
    if failure.check not in titles:
        raise unknown(spot.key("check"), "check", failure.check, titles)
    if titles.count(failure.check) > 1:
        raise spot.key("check").error(
            f"several checks are called {failure.check!r}", expected="a name for each"
        )
