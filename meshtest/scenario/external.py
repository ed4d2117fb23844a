"""`external:` of a scenario: hosts outside the mesh, and what answers there.

external:                     # or the name of a file with what stands below it
  api.example.com: [80/HTTP, 443/HTTPS]
  "*.payments.example":
    ports: [{number: 443, protocol: TLS, proxyProtocol: true}]
    addresses: [192.0.2.10, 192.0.2.11]
    tls: {mode: MUTUAL, certificate: private}
    files: {/etc/certs/ca.pem: ca, /etc/certs/client.pem: clientCertificate, /etc/certs/client-key.pem: clientKey}
    secrets: [default/payments-client]
  login.example: {ports: [443/HTTPS], plays: jwks}
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.errors import Location
from meshtest.mesh.addresses import is_ipv4
from meshtest.mesh.external import (
    CERTIFICATES,
    CLIENT_CERTIFICATE,
    CLIENT_KEY,
    PUBLISHED,
    SPOKEN,
    ExternalHost,
    ExternalPort,
    ExternalTls,
    conflict,
)
from meshtest.mesh.sources import shown as shown_path
from meshtest.mesh.standins import PARTS
from meshtest.mesh.yaml_source import Document, documents
from meshtest.scenario.fields import Shape, Short, Spot, key, list_of, mapping_of, record, shown
from meshtest.scenario.pem import PEM
from meshtest.scenario.scalars import boolean, integer, word

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORT = re.compile(r"(\d{1,5})/([A-Z0-9]+)\Z")
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\Z")
_KEY = re.compile(r"[a-z0-9-]+/[a-z0-9.-]+\Z")
_IN_CODE = "<Python>"


def _read_port(value: Any, spot: Spot) -> ExternalPort:
    found = _PORT.match(value) if isinstance(value, str) else None
    if not found or not 1 <= int(found[1]) <= 65535 or found[2] not in SPOKEN:
        raise spot.error(f"{shown(value)} is no port", expected=_PORT_WORDS)
    return ExternalPort(number=int(found[1]), protocol=found[2])


def _read_name(value: Any, spot: Spot) -> str:
    if not isinstance(value, str) or not _NAME.match(value):
        raise spot.error(f"{shown(value)} is no host name", expected="a name such as api.example.com")
    return value


def _read_address(value: Any, spot: Spot) -> str:
    if not isinstance(value, str) or not is_ipv4(value):
        raise spot.error(f"{shown(value)} is no address", expected="an IPv4 address")
    return value


def _read_key(value: Any, spot: Spot) -> str:
    if not isinstance(value, str) or not _KEY.match(value):
        raise spot.error(f"{shown(value)} names no object", expected="namespace/name")
    return value


def _checked(host: ExternalHost, spot: Spot) -> None:
    numbers = [port.number for port in host.ports]
    for index, number in enumerate(numbers):
        if number in numbers[:index]:
            raise spot.key("ports").item(index).error(f"port {number} stands there twice")
    if host.workload_group and host.workload_entry:
        raise spot.error("workloadGroup and workloadEntry both stand here", expected="one of them")
    if bool(host.tls.server_certificate) != bool(host.tls.private_key):
        raise spot.key("tls").error(
            "a certificate goes with its key", expected="serverCertificate and privateKey"
        )
    asked = {*host.files.values(), *(PUBLISHED if host.secrets else ())}
    if host.tls.ca_certificates and asked & {CLIENT_CERTIFICATE, CLIENT_KEY}:
        raise spot.error(
            "no client's certificate can be given out where caCertificates verifies them",
            expected="files: with the ca alone",
        )
    if not host.speaks_tls and (host.tls != ExternalTls() or host.files or host.secrets):
        raise spot.error("certificates for a host that speaks no TLS", expected="a port of HTTPS or TLS")


_PORT_WORDS = f"NUMBER/PROTOCOL, the protocol one of {', '.join(SPOKEN)}"
PORT_TEXT = Shape(
    expected=_PORT_WORDS,
    read=_read_port,
    schema={"type": "string", "pattern": rf"^\d+/({'|'.join(SPOKEN)})$"},
)
NAME = Shape(expected="a host name", read=_read_name, schema={"type": "string"})
ADDRESS = Shape(expected="an IPv4 address", read=_read_address, schema={"type": "string", "format": "ipv4"})
KEY = Shape(
    expected="namespace/name",
    read=_read_key,
    schema={"type": "string", "pattern": "^[^/]+/[^/]+$"},
)
PORT: Shape[ExternalPort] = record(
    ExternalPort,
    {
        "number": key("number", integer(least=1, most=65535, what="a port"), required=True),
        "protocol": key("protocol", word(tuple(SPOKEN), "protocol"), required=True),
        "proxyProtocol": key("proxy_protocol", boolean()),
    },
)


def _read_any_port(value: Any, spot: Spot) -> ExternalPort:
    return (PORT if isinstance(value, dict) else PORT_TEXT).read(value, spot)


PORTS = list_of(
    Shape(
        expected=f"{_PORT_WORDS}, or a mapping with number and protocol",
        read=_read_any_port,
        schema={"anyOf": [PORT_TEXT.schema, PORT.schema]},
    ),
    one=False,
)
TLS = record(
    ExternalTls,
    {
        "mode": key("mode", word(("SIMPLE", "MUTUAL"), "mode")),
        "certificate": key("certificate", word(CERTIFICATES, "certificate")),
        "serverCertificate": key("server_certificate", PEM),
        "privateKey": key("private_key", PEM),
        "caCertificates": key("ca_certificates", PEM),
    },
)
HOST: Shape[ExternalHost] = record(
    ExternalHost,
    {
        "ports": key("ports", PORTS, required=True),
        "names": key("names", list_of(NAME)),
        "addresses": key("addresses", list_of(ADDRESS)),
        "tls": key("tls", TLS),
        "files": key("files", mapping_of(word(PUBLISHED, "word"), what="paths and what lies there")),
        "secrets": key("secrets", list_of(KEY)),
        "plays": key("plays", word(PARTS, "part")),
        "workloadGroup": key("workload_group", KEY),
        "workloadEntry": key("workload_entry", KEY),
    },
    short=Short(attribute="ports", shape=PORTS),
    verify=_checked,
)
_HOSTS = mapping_of(HOST, what="hosts and their ports")


def _read_hosts(value: Any, spot: Spot) -> dict[str, ExternalHost]:
    if isinstance(value, str):
        return _read_file(value, spot)
    found = _HOSTS.read(value, spot)
    for name in found:
        _read_name(name, spot.key(name))
    if (problem := conflict(found)) is not None:
        at = spot.key(problem.host)
        at = at.key(problem.field) if problem.field else at
        raise at.error(problem.problem, expected=problem.expected)
    return found


def _read_file(name: str, spot: Spot) -> dict[str, ExternalHost]:
    """Hosts that several scenarios share stand in a file of their own."""
    path = Path(spot.document.location.file).parent / name
    try:
        text_ = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        raise spot.error(f"no file {name!r}", expected="hosts, or a file with them beside this one") from None
    found = documents(text_, shown_path(path))
    if len(found) != 1 or not isinstance(found[0].value, dict):
        raise spot.error(f"no hosts in {name!r}", expected="one mapping of hosts and their ports")
    return _read_hosts(found[0].value, Spot(document=found[0]))


EXTERNAL: Shape[dict[str, ExternalHost]] = Shape(
    expected=f"{_HOSTS.expected}, or a file with them",
    read=_read_hosts,
    schema={"anyOf": [{"type": "string"}, _HOSTS.schema]},
)


def external_hosts(given: Mapping[str, Any] | None) -> dict[str, ExternalHost]:
    """What Python code says of hosts outside, in a scenario's words or ready; raises ScenarioError."""
    ready = {name: host for name, host in (given or {}).items() if isinstance(host, ExternalHost)}
    written = {name: _plain(host) for name, host in (given or {}).items() if name not in ready}
    document = Document(value=written, location=Location(file=_IN_CODE, line=1), lines={})
    read = EXTERNAL.read(written, Spot(document=document, path="external")) if written else {}
    return {name: ready[name] if name in ready else read[name] for name in given or ()}


def _plain(value: Any) -> Any:
    """Tuples and other mappings as YAML would have them."""
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if hasattr(value, "items"):
        return {str(name): _plain(each) for name, each in value.items()}
    return value
