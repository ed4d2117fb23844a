from __future__ import annotations

from typing import Any, cast

import pytest

from meshtest import faults
from meshtest.errors import RuntimeFailure, ScenarioError, Unsupported
from meshtest.faults.base import Exclusive, Ground, Settling, Silencing
from meshtest.faults.families import plan
from meshtest.faults.judging import judge
from meshtest.faults.packet import lost
from meshtest.faults.placing import placement
from meshtest.mesh.model import MeshModel, Pod, PodKind, Service, ServicePort
from meshtest.runtime.base import Action, Capability, Lost, Part
from meshtest.waiting import Timeouts

EVERYTHING = frozenset(Capability)


def pod(workload: str, number: int, ip: str, kind: PodKind = PodKind.SIDECAR) -> Pod:
    return Pod(
        namespace="default", name=f"{workload}-{number}", workload=workload, workload_kind="Deployment", ip=ip,
        kind=kind, labels={"app": workload},
    )  # fmt: skip


@pytest.fixture
def model() -> MeshModel:
    return MeshModel(
        manifests=(), objects=(), cluster_ips={}, zone={},
        pods=(
            pod("a", 0, "10.244.0.2"), pod("b", 0, "10.244.0.3"), pod("b", 1, "10.244.0.4"), pod("b", 2, "10.244.0.5"),
            pod("plain", 0, "10.244.0.6", PodKind.PLAIN), pod("gateway", 0, "10.244.0.7", PodKind.GATEWAY),
        ),
        services=(Service(namespace="default", name="b", ports=(ServicePort(number=80),), selector={"app": "b"}),),
    )  # fmt: skip


class Recorder:
    """A sandbox that notes what is asked of it, and refuses from some call on."""

    def __init__(self, fails_at: int = 1000) -> None:
        self.calls: list[tuple[str, Part, Action]] = []
        self.fails_at = fails_at

    def signal(self, key: str, part: Part, action: Action) -> None:
        if len(self.calls) == self.fails_at:
            raise Unsupported("no more")
        self.calls.append((key, part, action))


def planned(spec: Any, model: MeshModel, sandbox: Any = None, seed: int = 1, name: str = "it") -> Any:
    ground = Ground(model=model, sandbox=cast("Any", sandbox), timeouts=Timeouts(), seed=seed)
    return plan(spec, name, ground)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            faults.loss(to="a", percentage=30),
            [Lost(destination="10.244.0.2", share=0.3), Lost(source="10.244.0.2", share=0.3)],
        ),
        (faults.loss(to="a", percentage=100, direction="ingress"), [Lost(destination="10.244.0.2")]),
        (faults.loss(to="a", percentage=100, direction="egress"), [Lost(source="10.244.0.2")]),
        (
            faults.partition("a", "b-0"),
            [
                Lost(source="10.244.0.3", destination="10.244.0.2"),
                Lost(source="10.244.0.2", destination="10.244.0.3"),
            ],
        ),
        (
            faults.partition("a", "b-0", one_way=True),
            [Lost(source="10.244.0.3", destination="10.244.0.2")],
        ),
        (
            faults.partition(["a", "b-0"], ["b-0", "plain"], one_way=True),
            [
                Lost(source="10.244.0.3", destination="10.244.0.2"),
                Lost(source="10.244.0.6", destination="10.244.0.2"),
                Lost(source="10.244.0.6", destination="10.244.0.3"),
            ],
        ),
    ],
    ids=["both", "ingress", "egress", "two-way", "one-way", "groups"],
)
def test_which_packets_get_lost(spec: Any, expected: list[Lost], model: MeshModel) -> None:
    assert list(lost(spec, model)) == expected


def test_killed_replicas_are_chosen_by_the_seed(model: MeshModel) -> None:
    spec = faults.kill(to="b", replicas=1)
    chosen = {seed: planned(spec, model, seed=seed).pods for seed in range(30)}
    assert all(len(pods) == 1 for pods in chosen.values())
    assert {pods[0].name for pods in chosen.values()} == {"b-0", "b-1", "b-2"}
    assert planned(spec, model, seed=7).pods == chosen[7]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (faults.kill(to="b"), "application of default/b-0, default/b-1, default/b-2: kill"),
        (faults.pause(to="b-1", part="sidecar"), "sidecar of default/b-1: pause"),
        (
            faults.stop(to="b", share=50),
            "application of 2 of default/b-0, default/b-1, default/b-2, chosen by the seed of the run: stop",
        ),
        (faults.limits(to="a", cpu="100m"), "application of default/a-0: cpu 100m"),
    ],
    ids=["all", "one", "some", "limits"],
)
def test_where_it_sits_is_said_before_there_is_a_sandbox(spec: Any, words: str, model: MeshModel) -> None:
    assert placement(spec, model) == words


def test_with_a_seed_the_chosen_ones_are_said_beforehand(model: MeshModel) -> None:
    spec = faults.kill(to="b", replicas=1, name="one")
    said = {placement(spec, model, seed) for seed in range(30)}
    assert said == {f"application of default/b-{number}: kill" for number in range(3)}
    assert placement(spec, model, 7) == planned(spec, model, seed=7, name="one").placement


@pytest.mark.parametrize(("share", "number"), [(1, 1), (34, 1), (50, 2), (67, 2), (100, 3)])
def test_a_share_of_the_replicas_is_at_least_one(share: float, number: int, model: MeshModel) -> None:
    assert len(planned(faults.stop(to="b", share=share), model).pods) == number


@pytest.mark.parametrize(
    ("make", "there", "back"),
    [
        (faults.kill, [Action.KILL], [Action.START]),
        (faults.stop, [Action.STOP], [Action.START]),
        (faults.pause, [Action.PAUSE], [Action.RESUME]),
        (faults.restart, [Action.KILL, Action.START], []),
    ],
)
def test_what_is_done_is_undone_once(make: Any, there: Any, back: Any, model: MeshModel) -> None:
    sandbox = Recorder()
    injection = planned(make(to="a"), model, sandbox)
    injection.inject()
    assert [action for _, _, action in sandbox.calls] == there
    injection.recover()
    injection.recover()
    assert [action for _, _, action in sandbox.calls] == there + back


def test_of_a_fault_that_came_half_way_only_that_half_is_undone(model: MeshModel) -> None:
    sandbox = Recorder(fails_at=1)
    injection = planned(faults.kill(to="b"), model, sandbox)
    with pytest.raises(Unsupported):
        injection.inject()
    sandbox.fails_at = 1000
    injection.recover()
    assert sandbox.calls == [
        ("default/b-0", Part.APPLICATION, Action.KILL),
        ("default/b-0", Part.APPLICATION, Action.START),
    ]


class Deaf:
    """A control plane that cannot be told of sidecars that are back."""

    outage = False

    def leave_out(self, proxy: str) -> None:
        """Take note."""

    def take_in(self, proxy: str, *, anew: bool) -> None:
        raise RuntimeFailure(f"{proxy} is deaf, {anew}")


def test_a_process_that_runs_again_is_not_started_twice(model: MeshModel) -> None:
    sandbox = Recorder()
    ground = Ground(
        model=model, sandbox=cast("Any", sandbox), timeouts=Timeouts(), seed=1, pushes=cast("Any", Deaf())
    )
    fault = cast("Any", plan(faults.restart(to="a", part="sidecar"), "it", ground))
    with pytest.raises(RuntimeFailure, match="is deaf, True"):
        fault.inject()
    fault.recover()
    assert [action for _, _, action in sandbox.calls] == [Action.KILL, Action.START]


def test_a_fault_of_sidecars_says_whose_log_lines_may_be_lost(model: MeshModel) -> None:
    sidecar, application = (
        planned(faults.kill(to="a", part="sidecar"), model),
        planned(faults.kill(to="a"), model),
    )
    assert isinstance(sidecar, Silencing)
    assert sidecar.silent == {"default/a-0"}
    assert application.silent == set()
    assert isinstance(sidecar, Exclusive)
    assert isinstance(sidecar, Settling)


def test_names_are_those_of_the_service(model: MeshModel) -> None:
    injection = planned(faults.dns(to="b", host="API.Example.com.", nxdomain=True, from_="a"), model)
    assert injection.fault.names == ("api.example.com", "b.default.svc.cluster.local")
    assert injection.fault.sources == ("10.244.0.2",)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (faults.kill(to="plain", part="sidecar"), r"default/plain-0 has no sidecar; expected application"),
        (faults.kill(to="gateway"), r"default/gateway-0 has no application; expected sidecar"),
        (faults.kill(to="b", replicas=4), r"4 replicas, but b has 3; expected at most 3"),
        (faults.kill(to="nobody"), r"no workload, service or pod 'nobody'"),
        (
            faults.abort(to="plain"),
            r"abort\.to: 'plain' has no sidecar.*expected a workload with a sidecar; elsewhere",
        ),
        (faults.delay(to="gateway", fixed_delay=1), r"delay\.to: 'gateway' has no sidecar"),
        (faults.abort(to="a", from_="nobody"), r"abort\.from: no workload, service or pod 'nobody'"),
        (faults.partition("a", "a"), r"both sides are the same pod"),
        (faults.partition("a", "nobody"), r"partition\.from: no workload, service or pod 'nobody'"),
        (
            faults.packet_delay(to="a", fixed_delay=1, from_="b"),
            r"packetDelay\.from.*latency, a fault of conn",
        ),
        (faults.dns(to="a", nxdomain=True), r"'a' is no Service.*host: for any other name"),
    ],
    ids=lambda value: value.kind if hasattr(value, "kind") else "",
)
def test_what_a_mesh_cannot_have_is_refused_beforehand(spec: Any, said: str, model: MeshModel) -> None:
    with pytest.raises(ScenarioError, match=said) as caught:
        judge([spec], model, EVERYTHING)
    assert str(caught.value).startswith(__file__)


@pytest.mark.parametrize(
    ("spec", "instead"),
    [
        (faults.packet_delay(to="a", fixed_delay=0.1), "netem.*latency, a fault of connections"),
        (faults.limits(to="a", cpu="100m"), "resource limits.*docker"),
        (faults.loss(to="a", percentage=1), "packet loss.*connections"),
        (faults.pause(to="a"), "pause.*kill or stop"),
    ],
    ids=["netem", "limits", "loss", "pause"],
)
def test_what_the_runtime_cannot_do_is_refused_with_what_it_can(
    spec: Any, instead: str, model: MeshModel
) -> None:
    with pytest.raises(ScenarioError, match=instead):
        judge([spec], model, frozenset())


def test_two_faults_that_take_hold_of_one_process_at_one_time_are_refused(model: MeshModel) -> None:
    first, second = faults.kill(to="a", during=(0, 1)), faults.pause(to="a", during=(0.5, 1))
    with pytest.raises(ScenarioError, match="application of default/a-0 is under kill at that time"):
        judge([first, second], model, EVERYTHING)
    judge([first, faults.pause(to="a", during=(1, 1))], model, EVERYTHING)
    judge([first, faults.pause(to="a", part="sidecar", during=(0.5, 1))], model, EVERYTHING)
    judge([first, faults.loss(to="a", percentage=10)], model, EVERYTHING)


@pytest.mark.parametrize(
    "make",
    [
        lambda: faults.loss(to="a", percentage=101),
        lambda: faults.loss(to="a", percentage=0),
        lambda: faults.loss(to="a", percentage=10, direction="up"),
        lambda: faults.kill(to="a", part="wheel"),
        lambda: faults.kill(to="a", attempts=[1]),
        lambda: faults.dns(to="b"),
        lambda: faults.dns(nxdomain=True),
        lambda: faults.dns(to="b", nxdomain=True, servfail=True),
        lambda: faults.kill(to="a", during=(-1, 1)),
    ],
)
def test_arguments_that_mean_nothing_are_refused(make: Any) -> None:
    with pytest.raises(ScenarioError):
        make()
