"""DestinationRules, PeerAuthentications, Sidecars, ServiceEntries."""

from __future__ import annotations

from hypothesis import strategies as st

from suites.routing.made_up.building import Object, full, made, pick

_tls = st.builds(lambda mode: {"tls": {"mode": mode}}, pick("DISABLE", "ISTIO_MUTUAL", "SIMPLE"))
_balancer = pick({"loadBalancer": {"simple": "ROUND_ROBIN"}}, {"loadBalancer": {"simple": "PASSTHROUGH"}})
_SUBSETS = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]


def _destination_rule(host: str, policy: Object | None, port: Object | None, *, subsets: bool) -> Object:
    more = {"portLevelSettings": [{"port": {"number": 80}, **port}]} if port else {}
    chosen = {**(policy or {}), **more}
    spec: Object = {"host": full(host), **({"trafficPolicy": chosen} if chosen else {})}
    if subsets and host == "b":
        spec["subsets"] = _SUBSETS
    return made("networking.istio.io/v1", "DestinationRule", host.partition(".")[0], "one", spec)


destination_rules = st.builds(
    _destination_rule,
    pick("b", "b", "c.two.svc.cluster.local", "plain", "bare"),
    st.none() | _tls | _balancer,
    st.none() | st.none() | _tls,
    subsets=pick(True, True, False),  # noqa: FBT003 - values to choose from
)
_mode = st.builds(lambda mode: {"mode": mode}, pick("STRICT", "PERMISSIVE", "DISABLE"))


def _peer_authentication(namespace: str, app: str | None, mode: Object, port: Object | None) -> Object:
    spec: Object = {"mtls": mode}
    if app is not None and namespace != "istio-system":
        spec["selector"] = {"matchLabels": {"app": app}}
        if port is not None:
            spec["portLevelMtls"] = {8080: port}
    return made("security.istio.io/v1", "PeerAuthentication", app or "default", namespace, spec)


peer_authentications = st.builds(
    _peer_authentication,
    pick("istio-system", "one", "two"),
    st.none() | pick("b", "c"),
    _mode,
    st.none() | _mode,
)


def _sidecar(namespace: str, hosts: list[str], policy: str) -> Object:
    spec = {"egress": [{"hosts": hosts}], "outboundTrafficPolicy": {"mode": policy}}
    return made("networking.istio.io/v1", "Sidecar", "default", namespace, spec)


sidecars = st.builds(
    _sidecar,
    pick("one", "two"),
    pick(["*/*"], ["./*"], ["two/*", "istio-system/*"], ["one/b.one.svc.cluster.local"]),
    pick("ALLOW_ANY", "REGISTRY_ONLY"),
)


def _service_entry(addresses: list[str], location: str) -> Object:
    spec = {
        "hosts": ["ext.test"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}],
        "resolution": "STATIC",
        "location": location,
        "endpoints": [{"address": one} for one in addresses],
    }
    return made("networking.istio.io/v1", "ServiceEntry", "ext", "one", spec)


service_entries = st.builds(
    _service_entry,
    pick(["IP-OF-two/c"], ["IP-OF-one/plain"], ["IP-OF-one/b-v1", "IP-OF-two/c"]),
    pick("MESH_EXTERNAL", "MESH_INTERNAL"),
)
