from __future__ import annotations

from typing import Any

import pytest

from meshtest.scenario.fault_name import Dns
from meshtest.scenario.fault_packet import Loss, Partition
from meshtest.scenario.fault_workload import ProcessFault
from meshtest.scenario.faults import During

RATE = "traffic: {from: a, request: http://b/, rate: 5/s, for: 2s}"


@pytest.mark.parametrize(
    ("fault", "action"),
    [
        ("{loss: 30%, to: ratings}", Loss(percentage=30)),
        ("{loss: {percentage: 5, direction: ingress}, to: r}", Loss(percentage=5, direction="ingress")),
        ("{partition: {}, to: [a, b], from: [c, d]}", Partition()),
        ("{partition: {oneWay: true}, to: a}", Partition(one_way=True)),
        ("{kill: {}, to: a}", ProcessFault()),
        ("{kill: sidecar, to: a}", ProcessFault(part="sidecar")),
        ("{stop: {part: sidecar, replicas: 1}, to: a}", ProcessFault(part="sidecar", replicas=1)),
        ("{pause: {share: 50%}, to: a}", ProcessFault(share=50)),
        ("{dns: {nxdomain: true}, to: a}", Dns(nxdomain=True)),
        ("{dns: {address: 10.0.0.9, delay: 2s}, to: a}", Dns(address=("10.0.0.9",), delay=2)),
        ("{dns: {servfail: true, host: api.example.com}}", Dns(servfail=True, host=("api.example.com",))),
    ],
)
def test_what_stands_under_a_kind(files: Any, fault: str, action: object) -> None:
    (found,) = files.one(faults=f"faults: [{fault}]").faults
    assert found.action == action


def test_faults_that_are_no_matter_of_requests_have_times_without_a_rate(files: Any) -> None:
    (found,) = files.one(faults="faults: [{kill: {}, to: a, during: {at: 1s, for: 2s}}]").faults
    assert found.during == During(at=1, lasts=2)
    assert not found.of_requests


def test_until_so_many_requests(files: Any) -> None:
    (found,) = files.one(traffic=RATE, faults="faults: [{kill: {}, to: a, until: {requests: 5}}]").faults
    assert found.until == 5


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("{loss: 130%, to: a}", "s.mesh.yaml:8: spec.faults[0].loss: 130% is not between 0% and 100%"),
        ("{loss: 0%, to: a}", "0% loses no packet; expected more than 0%"),
        ("{loss: 10%}", "spec.faults[0]: misses 'to'"),
        ("{loss: {percentage: 10, direction: in}, to: a}", "unknown direction 'in'"),
        ("{loss: 10%, to: a, attempts: [1]}", "attempts chooses requests, but loss meets whatever comes"),
        ("{kill: {}, to: a, percentage: 10}", "percentage chooses requests, but kill meets whatever comes"),
        ("{kill: {}, to: a, from: b}", "kill hits a workload whoever calls it; expected to, without from"),
        ("{kill: {replicas: 1, share: 50%}, to: a}", "replicas and share both stand here"),
        ("{kill: wheel, to: a}", "unknown part 'wheel'; expected application or sidecar"),
        (
            "{limits: {cpu: lots}, to: a}",
            "'lots' is no quantity; expected a quantity as Kubernetes writes it",
        ),
        ("{dns: {nxdomain: true}}", "names no name; expected to with a Service, or host under dns"),
        ("{dns: {nxdomain: true, servfail: true}, to: a}", "several answers stand here"),
        ("{dns: {address: nowhere}, to: a}", "'nowhere' is no IPv4 address; expected an IPv4 address"),
        ("{dns: {host: x}, to: a}", "no fault stands here; expected nxdomain, servfail, address or delay"),
        ("{packetDelay: {fixedDelay: 1s, jitter: 2s}, to: a}", "more jitter than delay"),
        (
            "{abort: {httpStatus: 503}, to: a, during: {at: 1s}}",
            "needs to know when each request is sent, and traffic has no rate",
        ),
        ("{kill: {}, to: a, until: {requests: 5}}", "expected rate: 100/s with for: 3s in traffic"),
        ("{kill: {}, to: a, until: {requests: 5}, during: {for: 1s}}", "both say when it ends"),
    ],
)
def test_mistakes_are_told_with_what_can_be_done(files: Any, fault: str, said: str) -> None:
    assert said in files.error(faults=f"faults: [{fault}]")
