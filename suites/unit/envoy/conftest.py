"""A bench of real Envoys on loopback: a caller, a callee, an application, and the real control plane."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from google.protobuf import json_format

from meshtest.envoy.binary import find_envoy
from meshtest.envoy.bootstrap import FLAGS, SOCKET_MARK, bootstrap, socket_path
from meshtest.envoy.dump import import_type
from meshtest.mesh.model import Pod, PodKind
from meshtest.waiting import wait_until
from meshtest.wire import Channel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

TYPES = "type.googleapis.com/"
MESSAGES = {
    "CDS": cluster_pb2.Cluster,
    "EDS": endpoint_pb2.ClusterLoadAssignment,
    "LDS": listener_pb2.Listener,
    "RDS": route_pb2.RouteConfiguration,
    "SDS": secret_pb2.Secret,
}


def typed(kind: str, **fields: Any) -> dict[str, Any]:
    import_type(f"envoy.{kind}")
    return {"@type": f"{TYPES}envoy.{kind}", **fields}


def named(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": typed(kind, **fields)}


def free_ports(count: int) -> list[int]:
    """As many that differ: they are held until all are known."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def sds(name: str) -> dict[str, Any]:
    source = {
        "api_config_source": {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": "sds-grpc"}}],
            "set_node_on_first_message_only": True,
        },
        "initial_fetch_timeout": "0s",
        "resource_api_version": "V3",
    }
    return {"name": name, "sds_config": source}


def common_tls(alpn: Sequence[str], match: Mapping[str, str]) -> dict[str, Any]:
    return {
        "tls_certificate_sds_secret_configs": [sds("default")],
        "combined_validation_context": {
            "default_validation_context": {"match_subject_alt_names": [match]},
            "validation_context_sds_secret_config": sds("ROOTCA"),
        },
        "alpn_protocols": list(alpn),
    }


ROUTER = named("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")


def rbac(action: str, **principal: Any) -> dict[str, Any]:
    """An HTTP authorization filter as istiod writes it; without principal it matches everybody."""
    policy = {"permissions": [{"any": True}], "principals": [principal or {"any": True}]}
    policies = {"ns[default]-policy[locked]-rule[0]": policy}
    kind = "extensions.filters.http.rbac.v3.RBAC"
    return named("envoy.filters.http.rbac", kind, rules={"action": action, "policies": policies})


def manager(*filters: dict[str, Any], **fields: Any) -> dict[str, Any]:
    kind = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    return named("hcm", kind, stat_prefix="x", http_filters=[*filters, ROUTER], **fields)


def static_routes(cluster: str) -> dict[str, Any]:
    metadata = {"filter_metadata": {"istio": {"config": "/apis/x/virtual-service/y"}}}
    route = {"name": "default", "match": {"prefix": "/"}, "route": {"cluster": cluster}, "metadata": metadata}
    return {"name": cluster, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]


class Application(http.server.ThreadingHTTPServer):
    """Answers 200 with a kilobyte and remembers what it received."""

    daemon_threads = True

    def __init__(self) -> None:
        self.received: list[Received] = []
        super().__init__(("127.0.0.1", 0), _Answer)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Application

    def do_GET(self) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.server.received.append(Received(self.command, self.path, headers))
        body = b"x" * int(headers.get("want-bytes", "10"))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: Any) -> None:
        pass


def pod(name: str, account: str = "", kind: PodKind = PodKind.SIDECAR) -> Pod:
    return Pod(
        namespace="default",
        name=f"{name}-0",
        workload=name,
        workload_kind="Deployment",
        ip="10.244.0.1" if name == "caller" else "10.244.0.2",
        kind=kind,
        labels={"app": name},
        service_account=account or name,
    )


@dataclass
class Bench:
    """The control plane's process and the Envoys that it serves."""

    directory: Path
    server: Server
    _envoys: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def envoy(self, one: Pod) -> None:
        """Tell the control plane of a pod and start its Envoy."""
        self.tell(one)
        self.start(one)

    def tell(self, one: Pod) -> None:
        kind = "gateway" if one.kind is PodKind.GATEWAY else "sidecar"
        told = {"id": one.node_id, "pod": one.key, "workload": one.workload_key, "identity": one.identity}
        self.channel.call("proxies", timeout=10, authority=None, proxies=[{**told, "kind": kind}])

    def start(self, one: Pod) -> None:
        config = self.directory / f"{one.name}.json"
        mark = SOCKET_MARK if os.geteuid() == 0 else None  # nobody else may
        text = bootstrap(one, directory=str(self.directory), own_ports=False, socket_mark=mark)
        config.write_text(text, encoding="utf-8")
        with (self.directory / f"{one.name}.err").open("ab") as err:
            line = [str(find_envoy()), "--config-path", str(config), "--concurrency", "1", *FLAGS]
            self._envoys[one.key] = subprocess.Popen(line, stderr=err)

    def signal(self, one: Pod, number: int) -> None:
        self._envoys[one.key].send_signal(number)

    def stop(self, one: Pod) -> None:
        process = self._envoys.pop(one.key)
        process.kill()
        process.wait()

    def update(
        self,
        *sets: tuple[Pod, Sequence[tuple[str, dict[str, Any]]]],
        removed: Sequence[tuple[Pod, str, str]] = (),
        **fields: Any,
    ) -> dict[str, Any]:
        """Push resources given as dictionaries."""
        payload = b""
        header: dict[str, Any] = {}
        for one, resources in sets:
            entries = header.setdefault(one.node_id, {"set": [], "removed": []})["set"]
            for kind, body in resources:
                message = json_format.ParseDict(body, MESSAGES[kind]())
                value = message.SerializeToString()
                name = body.get("name") or body["cluster_name"]
                entries.append([kind, name, len(payload), len(value)])
                payload += value
        for one, kind, name in removed:
            entry = header.setdefault(one.node_id, {"set": [], "removed": []})
            entry["removed"].append([kind, name])
        return self.channel.call("update", payload, timeout=40, proxies=header, **fields).header

    def lines(self, one: Pod) -> list[dict[str, Any]]:
        """The access log of a pod so far."""
        path = socket_path(str(self.directory), one.key, "access")
        if not os.path.exists(path):  # noqa: PTH110 - a plain path of the product
            return []
        with open(path, encoding="utf-8") as log:  # noqa: PTH123 - likewise
            return [json.loads(line) for line in log if line.endswith("\n")]

    def line(self, one: Pod, number: int = -1, *, at_least: int = 1) -> dict[str, Any]:
        """One line, waited for."""
        found = wait_until(
            lambda: found if len(found := self.lines(one)) >= at_least else None,
            5,
            lambda: f"{len(self.lines(one))} access log lines, wanted {at_least}",
        )
        return dict(found[number])

    def close(self) -> None:
        for process in self._envoys.values():
            process.kill()
            process.wait()
        self.server.stop()

    @property
    def channel(self) -> Channel:
        return self.server.channel

    def restart(self) -> None:
        """End the control plane and start another."""
        self.server.stop()
        self.server = Server.start(self.directory)


_SERVE = """
import socket, sys
from meshtest.envoy.server import main
main({"directory": sys.argv[1], "seed": "test"}, socket.socket(fileno=int(sys.argv[2])))
"""


@dataclass
class Server:
    """The control plane's process and the channel to it."""

    process: subprocess.Popen[bytes]
    channel: Channel
    ends: tuple[IO[bytes], IO[bytes], socket.socket]

    @classmethod
    def start(cls, directory: Path) -> Server:
        (directory / "xds.sock").unlink(missing_ok=True)
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-c", _SERVE, str(directory), str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        reader, writer = ours.makefile("rb"), ours.makefile("wb")
        wait_until((directory / "xds.sock").exists, 20, lambda: "the control plane does not listen")
        return cls(process, Channel("control plane", reader, writer), (reader, writer, ours))

    def stop(self) -> None:
        self.ends[2].shutdown(socket.SHUT_RDWR)
        assert self.process.wait(10) == 0
        for end in self.ends:
            end.close()


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    # Unix socket paths are short: not below the test's own long name.
    directory = tmp_path_factory.mktemp("b")
    made = Bench(directory, Server.start(directory))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def application() -> Iterator[Application]:
    served = Application()
    yield served
    served.shutdown()
    served.server_close()


@dataclass
class Pair:
    """A caller's and a callee's sidecar with mutual TLS between them."""

    bench: Bench
    application: Application
    caller: Pod
    callee: Pod
    outbound_port: int
    inbound_port: int
    tcp_port: int
    edge_port: int

    def rbac(self, action: str, **principal: Any) -> dict[str, Any]:
        """An HTTP authorization filter as istiod writes it; without principal it matches everybody."""
        return rbac(action, **principal)

    def network_rbac(self, action: str) -> dict[str, Any]:
        """A TCP authorization filter as istiod writes it."""
        policies = {
            "ns[default]-policy[locked]-rule[0]": {
                "permissions": [{"any": True}],
                "principals": [{"any": True}],
            }
        }
        rules = {"action": action, "policies": policies}
        kind = "extensions.filters.network.rbac.v3.RBAC"
        return named("envoy.filters.network.rbac", kind, stat_prefix="tcp.", rules=rules)

    def inbound(
        self, *filters: dict[str, Any], chain: str = "", tcp: Sequence[dict[str, Any]] = ()
    ) -> tuple[str, dict[str, Any]]:
        """The callee's listener: HTTP of the mesh, plain HTTP and TCP of the mesh."""
        tls = common_tls(["h2", "http/1.1"], {"prefix": "spiffe://cluster.local/"})
        transport = named(
            "tls",
            "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            common_tls_context=tls,
            require_client_certificate=True,
        )
        forward = {
            "forward_client_cert_details": "APPEND_FORWARD",
            "set_current_client_cert_details": {"subject": True, "dns": True, "uri": True},
        }
        http = manager(*filters, route_config=static_routes("inbound"), **forward)
        proxy = named(
            "envoy.filters.network.tcp_proxy",
            "extensions.filters.network.tcp_proxy.v3.TcpProxy",
            stat_prefix="tcp",
            cluster="inbound",
        )
        of_http = ["istio-http/1.0", "istio-http/1.1", "istio-h2"]
        plain = {"transport_protocol": "raw_buffer", "source_prefix_ranges": [_everybody()]}
        chains = [
            _chain("http" + chain, _over_tls(of_http), [http], transport_socket=transport),
            _chain("tcp", _over_tls(["istio"]), [*tcp, proxy], transport_socket=transport),
            _chain("plain", plain, [http]),
        ]
        inspector = named("i", "extensions.filters.listener.tls_inspector.v3.TlsInspector")
        return "LDS", {
            "name": "virtualInbound",
            "address": address(self.inbound_port),
            "listener_filters": [inspector],
            "filter_chains": chains,
            "traffic_direction": "INBOUND",
        }

    def edge(self, credential: str) -> tuple[str, dict[str, Any]]:
        """A listener that shows a credential, as gateways have."""
        secret = {"name": credential, "sds_config": {"ads": {}, "resource_api_version": "V3"}}
        transport = named(
            "tls",
            "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            common_tls_context={"tls_certificate_sds_secret_configs": [secret]},
        )
        http = manager(route_config=static_routes("inbound"))
        chain = {"filters": [http], "transport_socket": transport, "name": "edge"}
        return "LDS", {"name": "edge", "address": address(self.edge_port), "filter_chains": [chain]}

    def credential(self, name: str, certificate: str, key: str) -> tuple[str, dict[str, Any]]:
        """A certificate as istiod serves it."""
        chain, secret = ({"inline_string": text} for text in (certificate, key))
        return "SDS", {"name": name, "tls_certificate": {"certificate_chain": chain, "private_key": secret}}

    def handshake(self, root: str, name: str) -> dict[str, Any]:
        """The certificate that the edge shows to a client that trusts `root`."""
        context = ssl.create_default_context(cadata=root)
        with (
            socket.create_connection(("127.0.0.1", self.edge_port), 5) as connection,
            context.wrap_socket(connection, server_hostname=name) as wrapped,
        ):
            return dict(wrapped.getpeercert() or {})

    def local(self) -> tuple[str, dict[str, Any]]:
        """The callee's cluster of its own application."""
        endpoint = {"endpoint": {"address": address(self.application.port)}}
        load = {"cluster_name": "inbound", "endpoints": [{"lb_endpoints": [endpoint]}]}
        return "CDS", {"name": "inbound", "type": "STATIC", "connect_timeout": "1s", "load_assignment": load}

    def outbound(self) -> list[tuple[str, dict[str, Any]]]:
        """Everything of the caller."""
        rds = {"config_source": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}}
        alpn = {"name": "istio.alpn", "typed_config": {"@type": TYPES + "google.protobuf.Empty"}}
        http = manager(alpn, rds={**rds, "route_config_name": "9080"})
        tcp = named(
            "envoy.filters.network.tcp_proxy",
            "extensions.filters.network.tcp_proxy.v3.TcpProxy",
            stat_prefix="tcp",
            cluster="callee",
        )
        listeners = [
            ("http", self.outbound_port, http),
            ("tcp", self.tcp_port, tcp),
        ]
        return [
            self.cluster(),
            ("EDS", self.endpoints()),
            *(
                (
                    "LDS",
                    {
                        "name": name,
                        "address": address(port),
                        "filter_chains": [{"filters": [chosen]}],
                        "traffic_direction": "OUTBOUND",
                    },
                )
                for name, port, chosen in listeners
            ),
            self.route(),
        ]

    def route(self, **action: Any) -> tuple[str, dict[str, Any]]:
        """The caller's route, with retries as istiod writes them."""
        retry = {
            "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
            "num_retries": 2,
            "retriable_status_codes": [503],
        }
        route = {
            "name": "default",
            "match": {"prefix": "/"},
            "route": {"cluster": "callee", "timeout": "0s", "retry_policy": retry, **action},
        }
        host = {"name": "all", "domains": ["*"], "routes": [route], "include_request_attempt_count": True}
        return "RDS", {"name": "9080", "virtual_hosts": [host]}

    def cluster(self, **fields: Any) -> tuple[str, dict[str, Any]]:
        """The caller's cluster of the callee: HTTP/2 over mutual TLS, endpoints by EDS."""
        tls = common_tls(["istio-peer-exchange", "istio"], {"exact": self.callee.identity})
        ads = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
        http2 = typed(
            "extensions.upstreams.http.v3.HttpProtocolOptions",
            explicit_http_config={"http2_protocol_options": {}},
        )
        return "CDS", {
            "name": "callee",
            "type": "EDS",
            "connect_timeout": "1s",
            "eds_cluster_config": {"eds_config": ads},
            "transport_socket": named(
                "tls",
                "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                common_tls_context=tls,
                sni="callee",
            ),
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2
            },
            **fields,
        }

    def endpoints(self) -> dict[str, Any]:
        """Where the callee is."""
        endpoint = {"endpoint": {"address": address(self.inbound_port)}}
        return {"cluster_name": "callee", "endpoints": [{"lb_endpoints": [endpoint]}]}

    def up(self) -> None:
        """Bring both up."""
        for one in (self.caller, self.callee):
            self.bench.envoy(one)
        self.bench.update((self.caller, self.outbound()), (self.callee, [self.local(), self.inbound()]))

    def get(
        self, path: str = "/", *, port: int = 0, method: str = "GET", **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """One request on a connection of its own: status, body, headers."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.outbound_port, timeout=10)
        try:
            connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        finally:
            connection.close()


def _chain(name: str, match: dict[str, Any], filters: list[dict[str, Any]], **rest: Any) -> dict[str, Any]:
    return {"name": name, "filter_chain_match": match, "filters": filters, **rest}


def _over_tls(protocols: list[str]) -> dict[str, Any]:
    return {"transport_protocol": "tls", "application_protocols": protocols}


def _everybody() -> dict[str, Any]:
    return {"address_prefix": "127.0.0.1", "prefix_len": 32}


@pytest.fixture
def pair(bench: Bench, application: Application) -> Pair:
    outbound, inbound, tcp, edge = free_ports(4)
    return Pair(
        bench=bench,
        application=application,
        caller=pod("caller", "bob"),
        callee=pod("callee", "alice"),
        outbound_port=outbound,
        inbound_port=inbound,
        tcp_port=tcp,
        edge_port=edge,
    )


@pytest.fixture
def mesh(pair: Pair) -> Pair:
    pair.up()
    return pair
