from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from meshtest import faults
from meshtest.errors import RuntimeFailure, ScenarioError
from meshtest.faults.base import Ground
from meshtest.live.faulting import ActiveFaults
from meshtest.runtime.base import Action, Part
from meshtest.traffic.model import Exchange, Outcome, Request
from meshtest.waiting import Timeouts, wait_until

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel


class Processes:
    """A sandbox that notes what was done to whom."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Action]] = []
        self.broken = threading.Event()

    def signal(self, key: str, part: Part, action: Action) -> None:
        del part
        if self.broken.is_set():
            raise RuntimeFailure("the sandbox has ended")
        self.done.append((key.partition("/")[2], action))

    @property
    def actions(self) -> list[Action]:
        return [action for _, action in self.done]


@pytest.fixture
def processes() -> Processes:
    return Processes()


@pytest.fixture
def ground(model: MeshModel, processes: Processes) -> Ground:
    return Ground(model=model, sandbox=cast("Any", processes), timeouts=Timeouts(), seed=1)


def until(processes: Processes, number: int) -> None:
    wait_until(lambda: len(processes.done) >= number, 2.0, lambda: str(processes.done))


def exchange(started: float, latency: float = 0.0) -> Exchange:
    return Exchange(
        id="e", caller="default/reviews-v1-0", request=Request(url="http://ratings:9080/"), outcome=Outcome.RESPONSE,
        started=started, latency=latency, remote_address="10.244.0.1:9080",
    )  # fmt: skip


def test_a_fault_comes_and_goes_at_its_time(ground: Ground, processes: Processes) -> None:
    active = ActiveFaults()
    with active.hold([faults.kill(to="reviews-v1", during=(0.05, 0.1))], ground):
        assert processes.done == []
        began = time.time()
        active.begin_traffic(began, None)
        until(processes, 2)
    (window,) = active.windows
    assert processes.actions == [Action.KILL, Action.START]
    assert 0.05 <= window.injected - began < 0.1
    assert 0.15 <= window.recovered - began < 0.2


def test_a_second_traffic_does_not_start_the_clock_again(ground: Ground, processes: Processes) -> None:
    active = ActiveFaults()
    with active.hold([faults.kill(to="reviews-v1", during=(0.0, None))], ground):
        active.begin_traffic(time.time(), None)
        until(processes, 1)
        active.begin_traffic(time.time(), None)
    assert processes.actions == [Action.KILL, Action.START]


def test_faults_in_sequence_on_one_process(ground: Ground, processes: Processes) -> None:
    active = ActiveFaults()
    plan = [
        faults.kill(to="reviews-v1", during=(0.0, 0.05)),
        faults.pause(to="reviews-v1", during=(0.1, 0.05)),
    ]
    with active.hold(plan, ground):
        active.begin_traffic(time.time(), None)
        until(processes, 4)
    assert processes.actions == [Action.KILL, Action.START, Action.PAUSE, Action.RESUME]


def test_faults_at_once_on_one_process_are_refused(ground: Ground, processes: Processes) -> None:
    active = ActiveFaults()
    plan = [faults.kill(to="reviews-v1"), faults.pause(to="reviews-v1")]
    with pytest.raises(ScenarioError, match="under kill at that time"), active.hold(plan, ground):
        raise AssertionError
    with (
        active.hold(plan[:1], ground),
        pytest.raises(ScenarioError, match="under kill at that time"),
        active.hold(plan[1:], ground),
    ):
        raise AssertionError
    assert processes.actions == [Action.KILL, Action.START]


def test_several_at_once_are_recovered_in_reverse(ground: Ground, processes: Processes) -> None:
    with ActiveFaults().hold([faults.kill(to="reviews-v1"), faults.pause(to="ratings-v1")], ground):
        processes.done.clear()
    assert [name for name, _ in processes.done][-1] == "reviews-v1-0"
    assert processes.actions[-1] is Action.START


def test_a_fault_whose_time_never_came_says_so(ground: Ground, processes: Processes) -> None:
    active = ActiveFaults()
    with active.hold([faults.kill(to="reviews-v1", during=(60, 1))], ground):
        active.begin_traffic(time.time(), None)
    (window,) = active.windows
    assert window.injected == window.recovered
    assert window.hits == 0
    assert processes.done == []


def test_what_fails_by_the_clock_is_told_to_whoever_sends(ground: Ground, processes: Processes) -> None:
    active = ActiveFaults()
    processes.broken.set()

    def send() -> None:
        with active.hold([faults.kill(to="reviews-v1", during=(0.0, 1))], ground):
            active.begin_traffic(time.time(), None)
            (fault,) = active._everything()
            assert fault.clock._thread is not None
            fault.clock._thread.join(2)
            active.check()

    with pytest.raises(RuntimeFailure, match="the sandbox has ended"):
        send()


def test_what_was_sent_while_a_fault_came_in_counts_though_the_traffic_ended_before(
    ground: Ground, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    active, came = ActiveFaults(), threading.Event()
    signal = processes.signal

    def slowly(key: str, part: Part, action: Action) -> None:
        signal(key, part, action)
        assert came.wait(5)

    monkeypatch.setattr(processes, "signal", slowly)
    with active.hold([faults.kill(to="reviews-v1", during=(0.0, None))], ground):
        active.begin_traffic(time.time(), None)
        until(processes, 1)
        active.count([exchange(time.time())])
        came.set()
    (window,) = active.windows
    assert window.hits == 1


class Losing:
    """A sandbox that takes its time to say how many packets it lost, and is told meanwhile to lose no more."""

    def __init__(self) -> None:
        self.meanwhile: threading.Thread | None = None
        self.packets = 0

    def lose(self, name: str, lost: object) -> None:
        del name, lost
        self.packets = 53

    def lost(self, name: str) -> int:
        del name
        other, self.meanwhile = self.meanwhile, None
        if other is not None:
            other.start()
            other.join(0.2)
        return self.packets

    def restore(self, name: str) -> int:
        del name
        packets, self.packets = self.packets, 0
        return packets


def test_a_fault_that_ends_while_it_is_counted_keeps_its_hits(ground: Ground) -> None:
    active, sandbox = ActiveFaults(), Losing()
    spec = faults.loss(to="ratings", percentage=20)
    with active.hold([spec], replace(ground, sandbox=cast("Any", sandbox))) as (fault,):
        sandbox.meanwhile = threading.Thread(target=active._recover, args=(fault,))
        active.count([exchange(time.time())])
    assert [window.hits for window in active.windows] == [53]


def test_until_needs_a_rate(ground: Ground, processes: Processes) -> None:
    active = ActiveFaults()
    spec = faults.kill(to="reviews-v1", until=5)
    with active.hold([spec], ground), pytest.raises(ScenarioError, match="rate: and for: in traffic"):
        active.begin_traffic(time.time(), None)
    with active.hold([spec], ground):
        active.begin_traffic(time.time(), 100)
        until(processes, 2)
    assert processes.actions == [Action.KILL, Action.START]


def test_only_what_was_under_way_in_its_time_counts(ground: Ground, processes: Processes) -> None:
    active = ActiveFaults()
    with active.hold([faults.kill(to="reviews-v1", during=(0.0, 0.05))], ground):
        began = time.time()
        active.begin_traffic(began, None)
        until(processes, 2)
        wait_until(lambda: not active.active, 2.0, lambda: "still in force")
        active.count(
            [
                exchange(began - 5),
                exchange(began - 1, 1.03),
                exchange(began + 0.03),
                exchange(time.time() + 1),
            ]
        )
    assert active.windows[0].hits == 2
