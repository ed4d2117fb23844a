"""Interception, with real Envoys that pass everything through."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Action, Interception, Part
from meshtest.waiting import wait_until

MARK = 1337
ANYWHERE = "0.0.0.0"  # noqa: S104 - inside a pod
ORIGINAL_DST = "envoy.filters.listener.original_dst"
TYPES = "type.googleapis.com/envoy.extensions"


def bootstrap(pod: str) -> str:
    """An Envoy that sends every connection on to where it was going, and logs it."""
    mark = {"socket_options": [{"level": 1, "name": 36, "int_value": MARK, "state": "STATE_PREBIND"}]}
    inbound = {"source_address": {"address": "127.0.0.6", "port_value": 0}}
    return json.dumps(
        {
            "node": {"id": pod, "cluster": pod},
            "cluster_manager": {"upstream_bind_config": mark},
            "static_resources": {
                "listeners": [listener(pod, "outbound", 15001), listener(pod, "inbound", 15006), readiness()],
                "clusters": [cluster("outbound"), {**cluster("inbound"), "upstream_bind_config": inbound}],
            },
        }
    )


def cluster(side: str) -> dict[str, Any]:
    return {"name": side, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "1s"}


def listener(pod: str, side: str, port: int) -> dict[str, Any]:
    line = {"side": side, "to": "%UPSTREAM_HOST%", "from": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}
    log = {
        "name": "file",
        "typed_config": {
            "@type": f"{TYPES}.access_loggers.file.v3.FileAccessLog",
            "path": f"/run/meshtest/{pod.replace('/', '_')}.access",
            "log_format": {"json_format": line},
        },
    }
    proxy = {
        "@type": f"{TYPES}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": side,
        "cluster": side,
        "access_log": [log],
    }
    original = {
        "name": ORIGINAL_DST,
        "typed_config": {"@type": f"{TYPES}.filters.listener.original_dst.v3.OriginalDst"},
    }
    return {
        "name": side,
        "address": {"socket_address": {"address": ANYWHERE, "port_value": port}},
        "listener_filters": [original],
        "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}],
    }


def readiness() -> dict[str, Any]:
    answer = {
        "@type": f"{TYPES}.filters.network.direct_response.v3.Config",
        "response": {"inline_string": "ready"},
    }
    return {
        "name": "readiness",
        "address": {"socket_address": {"address": ANYWHERE, "port_value": 15021}},
        "filter_chains": [{"filters": [{"name": "answer", "typed_config": answer}]}],
    }


class Logs:
    """The access log lines of every pod."""

    def __init__(self) -> None:
        self._raw: dict[str, bytes] = defaultdict(bytes)

    def feed(self, pod: str, raw: bytes) -> None:
        self._raw[pod] += raw

    def lines(self, pod: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in self._raw[pod].splitlines(keepends=True) if line.endswith(b"\n")]

    def expect(self, pod: str, *wanted: dict[str, str]) -> None:
        wait_until(lambda: len(self.lines(pod)) >= len(wanted), 5.0, lambda: f"{pod}: {self._raw[pod]!r}")
        assert self.lines(pod) == list(wanted)


@pytest.fixture
def logs() -> Logs:
    return Logs()


def await_sidecar(bench: Any, sandbox: Any, pod: str) -> None:
    wait_until(
        lambda: bench.call("127.0.0.1", 15021, pod) == "ready",
        10.0,
        lambda: str(sandbox.logs(pod, Part.SIDECAR)),
    )


@pytest.fixture
def meshed(bench: Any, envoy: str, logs: Logs) -> Any:
    """Start pods a, b, ... with sidecars; a's interception can be given. Returns the sandbox."""

    def run(*names: str, interception: Interception | None = None, **fields: Any) -> Any:
        pods = [
            bench.pod(
                name,
                number,
                bootstrap=bootstrap(f"default/{name}"),
                interception=(interception if name == "a" else None) or Interception(),
            )
            for number, name in enumerate(names, 2)
        ]
        sandbox = bench.start(*pods, envoy=envoy, on_access=logs.feed, **fields)
        for name in names:
            await_sidecar(bench, sandbox, f"default/{name}")
        return sandbox

    return run


def test_calls_go_through_both_sidecars(bench: Any, meshed: Any, logs: Logs) -> None:
    meshed("a", "b")
    assert bench.call("10.244.0.3") == "b 127.0.0.6"
    logs.expect("default/a", {"side": "outbound", "to": "10.244.0.3:9080", "from": "10.244.0.2"})
    logs.expect("default/b", {"side": "inbound", "to": "10.244.0.3:9080", "from": "10.244.0.2"})


def test_a_sidecar_that_calls_its_own_pod_meets_its_own_inbound_side(
    bench: Any, meshed: Any, logs: Logs
) -> None:
    meshed("a", network=bench.services(own=[2]))
    assert bench.call("10.244.0.2", mark=MARK) == "a 127.0.0.6"
    logs.expect("default/a", {"side": "inbound", "to": "10.244.0.2:9080", "from": "10.244.0.2"})


@pytest.mark.parametrize(
    "call",
    [
        {"ip": "10.244.0.2"},
        {"ip": "127.0.0.1"},
        {"ip": "127.0.0.1", "mark": MARK},
        {"ip": "10.244.0.2", "source": "127.0.0.6"},
        {"ip": "10.244.0.2", "source": "127.0.0.6", "mark": MARK},
    ],
    ids=["its own address", "loopback", "Envoy to loopback", "passthrough", "Envoy's passthrough"],
)
def test_what_stays_in_the_pod_passes_by(bench: Any, meshed: Any, call: dict[str, Any]) -> None:
    meshed("a")
    source = call.get("source") or call["ip"]
    assert bench.call(port=9080, **call) == f"a {source}"


def test_what_envoy_sends_is_not_sent_to_envoy(bench: Any, meshed: Any, logs: Logs) -> None:
    meshed("a", "b")
    assert bench.call("10.244.0.3", mark=MARK) == "b 127.0.0.6"
    logs.expect("default/b", {"side": "inbound", "to": "10.244.0.3:9080", "from": "10.244.0.2"})
    assert logs.lines("default/a") == []


@pytest.mark.parametrize(
    ("interception", "intercepted"),
    [
        (Interception(), True),
        (Interception(exclude_outbound_ports=(9080,)), False),
        (Interception(exclude_outbound_ports=(9081,)), True),
        (Interception(exclude_outbound_ranges=("10.244.0.0/16",)), False),
        (Interception(include_outbound_ranges=("10.244.0.0/16",)), True),
        (Interception(include_outbound_ranges=("10.96.0.0/12",)), False),
        (Interception(include_outbound_ranges=(), include_outbound_ports=(9080,)), True),
        (Interception(exclude_outbound_ranges=("10.244.0.3/32",), include_outbound_ports=(9080,)), False),
    ],
)
def test_outbound_annotations(
    bench: Any, meshed: Any, logs: Logs, interception: Interception, *, intercepted: bool
) -> None:
    sandbox = meshed("a", "b", interception=interception)
    assert bench.call("10.244.0.3") == "b 127.0.0.6"
    sandbox.signal("default/a", Part.SIDECAR, Action.STOP)
    sandbox.close()
    assert len(logs.lines("default/a")) == int(intercepted)


@pytest.mark.parametrize(
    ("interception", "seen"),
    [
        (Interception(), "a 127.0.0.6"),
        (Interception(exclude_inbound_ports=(9080,)), "a 172.18.0.1"),
        (Interception(include_inbound_ports=(9080,)), "a 127.0.0.6"),
        (Interception(include_inbound_ports=(80,)), "a 172.18.0.1"),
        (Interception(include_inbound_ports=()), "a 172.18.0.1"),
    ],
)
def test_inbound_annotations(bench: Any, meshed: Any, interception: Interception, seen: str) -> None:
    meshed("a", interception=interception)
    assert bench.call("10.244.0.2", pod="") == seen


def test_udp_passes_by(bench: Any, meshed: Any) -> None:
    meshed("a", "b")
    assert bench.ask("exchange", ip="10.244.0.3", port=9080)["answer"] == "b 10.244.0.2"


def test_a_killed_sidecar_can_be_started_again_and_no_line_is_lost(
    bench: Any, meshed: Any, logs: Logs
) -> None:
    sandbox = meshed("a", "b")
    line = {"side": "inbound", "to": "10.244.0.3:9080", "from": "172.18.0.1"}
    assert bench.call("10.244.0.3", pod="") == "b 127.0.0.6"
    logs.expect("default/b", line)
    sandbox.signal("default/b", Part.SIDECAR, Action.KILL)
    assert bench.call("10.244.0.3", pod="") == "ConnectionRefusedError"
    assert bench.call("127.0.0.1", pod="default/b") == "b 127.0.0.1"
    sandbox.signal("default/b", Part.SIDECAR, Action.START)
    wait_until(lambda: bench.call("10.244.0.3", pod="") == "b 127.0.0.6", 10.0, lambda: "no answer from b")
    logs.expect("default/b", line, line)
    assert sandbox.ended_processes == []


def test_everything_logged_arrives_before_close_returns(bench: Any, meshed: Any, logs: Logs) -> None:
    sandbox = meshed("a", "b")
    for _ in range(200):
        bench.call("10.244.0.3", pod="")
    sandbox.signal("default/b", Part.SIDECAR, Action.STOP)
    sandbox.close()
    assert len(logs.lines("default/b")) == 200


def test_an_envoy_that_ends_by_itself_is_reported_with_its_words(bench: Any, envoy: str) -> None:
    """As the start's failure or as a report afterwards: Envoy may end before the application is ready, or after."""
    try:
        sandbox = bench.start(bench.pod("a", 2, bootstrap='{"admin": {"no_such_field": 1}}'), envoy=envoy)
    except RuntimeFailure as exc:
        report = str(exc)
    else:
        wait_until(lambda: sandbox.ended_processes, 10.0, lambda: "no report of the end")
        (report,) = sandbox.ended_processes
    assert report.startswith("default/a sidecar exited with status 1; its last lines:")
    assert "no_such_field" in report
