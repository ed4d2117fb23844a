"""VirtualServices and HTTPRoutes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from suites.routing.made_up.building import Object, full, made, maybe, one_of, pick, some
from suites.routing.made_up.topology import HOSTS, METHODS

# -- VirtualService ------------------------------------------------------------------------------------------

_path = pick("/", "/a", "/a/", "/a/b", "/b", "/ab")
_uri = one_of(exact=_path, prefix=_path, regex=pick("/a.*", "/[a-b]/?", ".*b", "/(a|b)/.+"))
_user: st.SearchStrategy[Object] = one_of(
    exact=pick("alice", "bob"), prefix=pick("al", "b"), regex=pick("a.*", ".*b")
)
_user_or_any: st.SearchStrategy[Object] = _user | st.just({})
_match = maybe(
    uri=_uri,
    ignoreUriCase=st.booleans(),
    headers=st.fixed_dictionaries({"x-user": _user_or_any}),
    withoutHeaders=st.fixed_dictionaries({"x-user": _user_or_any}),
    queryParams=st.fixed_dictionaries({"x": one_of(exact=pick("1", "2"), regex=pick(r"\d", ".*"))}),
    method=one_of(exact=pick(*METHODS), prefix=pick("P", "O")),
    authority=one_of(exact=pick("b", "b.one"), prefix=pick("b", "c"), regex=pick(r"b(\..*)?")),
    port=pick(80, 81, 9100),
    sourceLabels=pick({"app": "a"}, {"app": "c"}),
    sourceNamespace=pick("one", "two"),
    name=pick("m"),
)
_destination = pick(
    {"host": "b"},
    {"host": "b", "subset": "v1"},
    {"host": "b", "subset": "v2"},
    {"host": "b", "port": {"number": 80}},
    {"host": "b", "port": {"number": 9100}},
    {"host": "c.two.svc.cluster.local", "port": {"number": 80}},
    {"host": "plain", "port": {"number": 80}},
    {"host": "nowhere"},
    {"host": "b", "subset": "no"},
)
_changes = st.fixed_dictionaries(
    {
        "request": maybe(
            set=pick({"x-user": "bob"}, {"x-set": "1"}),
            add=pick({"x-user": "carol"}),
            remove=pick(["x-user"]),
        )
    }
)


def _weighted(first: Object, second: Object, weight: int, changes: Object | None) -> list[Object]:
    more = {"headers": changes} if changes else {}
    return [{"destination": first, "weight": weight, **more}, {"destination": second, "weight": 100 - weight}]


_targets = st.builds(lambda one: [{"destination": one}], _destination) | st.builds(
    _weighted, _destination, _destination, pick(0, 30, 50, 100), st.none() | _changes
)
_rewrite = maybe(uri=pick("/", "/b", "/a/b"), authority=pick("b", "c.two")).filter(bool) | pick(
    {"uriRegexRewrite": {"match": "/a(.*)", "rewrite": r"/b\1"}},
    {"uriRegexRewrite": {"match": "/", "rewrite": "/x/"}},
)
_abort = st.builds(
    lambda status, share: {"abort": {"httpStatus": status, "percentage": {"value": share}}},
    pick(418, 503),
    pick(0, 50, 100),
)
_cors = pick(
    {"allowOrigins": [{"exact": "http://x.test"}], "allowMethods": ["GET"]},
    {"allowOrigins": [{"prefix": "http"}]},
)
_sent = st.fixed_dictionaries(
    {"route": _targets},
    optional={
        "rewrite": _rewrite,
        "headers": _changes,
        "fault": _abort,
        "timeout": pick("2s"),
        "retries": pick({"attempts": 0}, {"attempts": 1, "retryOn": "5xx"}),
        "corsPolicy": _cors,
        "mirror": pick({"host": "plain.one.svc.cluster.local", "port": {"number": 80}}),
    },
)
_place = one_of(uri=pick("/new"), authority=pick("other.test"), scheme=pick("https"))
_redirected = st.builds(
    lambda place, code: {"redirect": {**place, **code}}, _place, maybe(redirectCode=pick(302, 307))
)
_answered = st.builds(
    lambda status: {"directResponse": {"status": status, "body": {"string": "own"}}}, pick(200, 404, 503)
)


def _rule(match: list[Object] | None, action: Object, name: str | None) -> Object:
    found = {"match": match} if match else {}
    return {**found, **({"name": name} if name else {}), **action}


_http = st.builds(
    _rule,
    st.none() | some(_match.filter(bool)),
    _sent | _redirected | _answered,
    st.none() | pick("n1", "n2"),
)
_tcp = st.builds(
    lambda port, target: {
        "match": [{"port": port}],
        "route": [{"destination": {**target, "port": {"number": port}}}],
    },
    pick(9000, 9100),
    pick({"host": "b.one.svc.cluster.local", "subset": "v1"}, {"host": "plain.one.svc.cluster.local"}),
)


def _with_full_names(rule: Object) -> Object:
    targets = [
        {**one, "destination": {**one["destination"], "host": full(one["destination"]["host"])}}
        for one in rule.get("route", ())
    ]
    return {**rule, "route": targets} if targets else rule


def _virtual_service(
    hosts: list[str],
    rules: list[Object],
    tcp: Object | None,
    place: tuple[str, str],
    gateways: list[str] | None,
) -> Object:
    spec: Object = {"hosts": sorted({full(host) for host in hosts}), "http": [*map(_with_full_names, rules)]}
    if tcp:
        spec["tcp"] = [tcp]
    if gateways:
        spec["gateways"] = gateways
    return made("networking.istio.io/v1", "VirtualService", place[0], place[1], spec)


virtual_services = st.builds(
    _virtual_service,
    some(pick("b", "b", *HOSTS, "ext.test", "*.test")),
    some(_http, 3),
    st.none() | _tcp,
    st.tuples(pick("routes", "more"), pick("one", "two")),
    pick(None, None, ["one/edge"], ["one/edge", "mesh"], ["one/edge", "mesh"]),
)

# -- HTTPRoute -----------------------------------------------------------------------------------------------

_route_path = st.builds(
    lambda kind, value: {"type": kind, "value": value},
    pick("Exact", "PathPrefix", "PathPrefix"),
    pick("/", "/a", "/a/b"),
) | st.just({"type": "RegularExpression", "value": "/a.*"})
_route_header = pick(
    [{"name": "x-user", "value": "alice"}],
    [{"name": "x-user", "type": "RegularExpression", "value": "a.*"}],
)
_route_match = maybe(
    path=_route_path,
    headers=_route_header,
    queryParams=st.just([{"name": "x", "value": "1"}]),
    method=pick("GET", "POST"),
)


def _modifier(fields: Object) -> Object:
    return {"type": "RequestHeaderModifier", "requestHeaderModifier": fields}


def _url(**fields: Any) -> Object:
    return {"type": "URLRewrite", "urlRewrite": fields}


def _path_of(kind: str, value: str) -> Object:
    return {"type": kind, kind[0].lower() + kind[1:]: value}


_filters = some(
    pick(
        _modifier({"set": [{"name": "x-user", "value": "bob"}]}),
        _modifier({"remove": ["x-user"]}),
        _url(path=_path_of("ReplacePrefixMatch", "/z")),
        _url(hostname="c.two", path=_path_of("ReplaceFullPath", "/full")),
    ),
    1,
)
_redirects = st.builds(
    lambda fields: [{"type": "RequestRedirect", "requestRedirect": fields}],
    pick(
        {"hostname": "other.test", "statusCode": 302},
        {"path": _path_of("ReplaceFullPath", "/new")},
        {"scheme": "https"},
    ),
)
_backends = some(
    pick(
        {"name": "b", "port": 80},
        {"name": "b", "port": 9100, "weight": 3},
        {"name": "plain", "port": 80},
        {"name": "b", "port": 80, "weight": 0},
        {"name": "c", "namespace": "two", "port": 80},
        {"name": "no", "port": 80},
    )
)


def _route_rule(matches: list[Object], filters: list[Object], backends: list[Object]) -> Object:
    rule: Object = {}
    kept = [match for match in matches if match]
    if kept:
        rule["matches"] = kept
    if filters:
        rule["filters"] = filters
    if not any(one["type"] == "RequestRedirect" for one in filters):
        rule["backendRefs"] = backends
    return rule


def _http_route(port: int | None, rules: list[Object], name: str, namespace: str) -> Object:
    parent: Object = {"group": "", "kind": "Service", "name": "b", "namespace": "one"}
    if port is not None:
        parent["port"] = port
    spec = {"parentRefs": [parent], "rules": rules}
    return made("gateway.networking.k8s.io/v1", "HTTPRoute", name, namespace, spec)


http_routes = st.builds(
    _http_route,
    st.none() | pick(80, 9100),
    some(
        st.builds(
            _route_rule, st.lists(_route_match, max_size=2), st.just([]) | _filters | _redirects, _backends
        )
    ),
    pick("route", "other"),
    pick("one", "one", "two"),
)
