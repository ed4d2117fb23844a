"""For `meshtest run --dry-run`: which requests each fault would hit, and when it and each change would come. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.cli.terminal import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshtest.live.active import Active
    from meshtest.mesh.model import MeshModel
    from meshtest.scenario.changes import ChangeSpec
    from meshtest.scenario.faults import FaultSpec
    from meshtest.scenario.model import Scenario

MOST = 20
"""Numbers of requests that are shown."""


def when(fault: FaultSpec) -> str:
    """Its time, on the clock of the traffic."""
    if fault.during is None and fault.until is None:
        return "as long as there is traffic"
    start = f"from {fault.during.at:g} s" if fault.during and fault.during.at else "from the start"
    if fault.until is not None:
        return f"{start} until {count(fault.until, 'request')} have been sent"
    if fault.during is None or fault.during.lasts is None:
        return f"{start} to the end of the traffic"
    return f"{start} for {fault.during.lasts:g} s"


def made(change: ChangeSpec) -> str:
    """Its time, on the clock of the traffic."""
    if change.at is None:
        return "before the first request, once the faults without a time are in force"
    return f"at {change.at:g} s of the traffic"


def which(scenario: Scenario, model: MeshModel, seed: int | None) -> dict[str, list[str]]:
    """Per fault of requests (by its name): what it would hit of each traffic, in words."""
    from meshtest.checks import requests_for  # noqa: PLC0415 - pytest imports this module early
    from meshtest.live.sending import Pace, chosen, seed_of  # noqa: PLC0415 - as above
    from meshtest.scenario.resolve import find_pods  # noqa: PLC0415 - as above
    from meshtest.traffic.model import Request  # noqa: PLC0415 - as above

    faults = list(_active(scenario, model))
    found: dict[str, list[str]] = {fault.id: [] for fault in faults}
    sent = sum(requests_for(scenario, each) for each in scenario.traffic if each.phase == "before")
    for traffic in (each for each in scenario.traffic if each.phase == "during"):
        number = requests_for(scenario, traffic)
        pace = Pace(requests=number, rate=traffic.rate, duration=traffic.lasts)
        asked = traffic.request
        requests = [Request(url=asked.url, method=asked.method, headers=asked.headers, host=asked.host)]
        caller = next((pod.key for pod in find_pods(traffic.sender, model.pods)), traffic.sender)
        for order, fault in enumerate(faults):
            positions = chosen(fault, caller, requests, pace, seed_of(seed or 0, order, sent))
            fault.marked += len(positions)
            fault.seen += number
            name = f" of {traffic.name}" if len(scenario.traffic) > 1 else ""
            found[fault.id].append(f"{_numbers(positions, number, seed)}{name}")
        sent += number
    return found


def _active(scenario: Scenario, model: MeshModel) -> Iterator[Active]:
    from meshtest.faults.http import Marked  # noqa: PLC0415 - pytest imports this module early
    from meshtest.live.active import Active  # noqa: PLC0415 - as above
    from meshtest.live.timing import Clock  # noqa: PLC0415 - as above

    for fault in scenario.faults:
        if fault.of_requests:
            marked = Marked(id=fault.name, spec=fault, model=model)
            yield Active(id=fault.name, spec=fault, injection=marked, clock=Clock())


def _numbers(positions: Sequence[int], total: int, seed: int | None) -> str:
    share = f"{len(positions)} of {count(total, 'request')}"
    if len(positions) in (0, total) or list(positions) == list(range(len(positions))):
        first = ", the first ones" if 0 < len(positions) < total else ""
        return f"{share}{first}"
    if seed is None:
        return f"{share}, chosen by the seed of the run; --seed says which"
    shown = ", ".join(str(position + 1) for position in list(positions)[:MOST])
    more = ", ..." if len(positions) > MOST else ""
    return f"{share}, by seed {seed}: {shown}{more}"
