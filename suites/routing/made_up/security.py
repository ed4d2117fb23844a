"""AuthorizationPolicies and RequestAuthentications."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from suites.routing.made_up.building import Object, made, maybe, pick, some
from suites.routing.made_up.topology import ACCOUNTS, METHODS

_principal = pick(
    "*", "*/sa/a", "cluster.local/ns/one/*", *(f"cluster.local/ns/one/sa/{name}" for name in ACCOUNTS)
)
_block = pick("10.244.0.0/16", "10.244.0.2", "192.0.2.0/24")
_source = maybe(
    principals=some(_principal),
    notPrincipals=some(_principal),
    namespaces=some(pick("one", "t*", "*o")),
    notNamespaces=some(pick("two")),
    ipBlocks=some(_block),
    notIpBlocks=some(_block),
    remoteIpBlocks=some(_block),
).filter(bool) | st.fixed_dictionaries({"serviceAccounts": some(pick("a", "two/c", "one/b"))})
_paths = some(pick("/", "/a", "/a*", "*b", "*", "/{*}/b", "/{**}", "/a/{**}"))
_operation = maybe(
    methods=some(pick(*METHODS, "P*")),
    notMethods=some(pick("GET", "POST")),
    paths=_paths,
    notPaths=_paths,
    hosts=some(pick("b", "B", "b.one*", "*.two", "*")),
    notHosts=some(pick("b", "*.cluster.local")),
    ports=some(pick("8080", "9000", "9100", "80")),
    notPorts=some(pick("8080", "9100")),
).filter(bool)


def _when(key: str, values: st.SearchStrategy[Any], how: str = "values") -> st.SearchStrategy[Object]:
    return st.builds(lambda found: {"key": key, how: found}, some(values))


_condition = st.one_of(
    _when("request.headers[x-user]", pick("alice", "al*", "*b", "*")),
    _when("request.headers[x-user]", pick("alice", "al*", "*b", "*"), "notValues"),
    _when("source.principal", _principal),
    _when("source.namespace", pick("one", "two"), "notValues"),
    _when("destination.port", pick("8080", "9000")),
    _when("source.ip", _block),
    _when("remote.ip", _block),
    _when("connection.sni", pick("outbound_.80_*", "*one.svc.cluster.local")),
    _when("request.auth.claims[iss]", pick("me", "*")),
    _when("request.auth.claims[group]", pick("admin"), "notValues"),
)
_to = some(st.builds(lambda one: {"operation": one}, _operation))
_rule = maybe(
    **{"from": some(st.builds(lambda one: {"source": one}, _source)), "to": _to, "when": some(_condition)}
)


def _policy(
    place: tuple[str, str], app: str | None, decision: tuple[str, list[Object]], *, dry: bool
) -> Object:
    action, rules = decision
    spec: Object = {"action": action, "rules": rules}
    if app is not None:
        spec["selector"] = {"matchLabels": {"app": app}}
    if action == "CUSTOM":
        spec["provider"] = {"name": "nobody"}
    notes: Any = {"annotations": {"istio.io/dry-run": "true"}} if dry and action in {"ALLOW", "DENY"} else {}
    return made("security.istio.io/v1", "AuthorizationPolicy", *place, spec, **notes)


_decisions = st.one_of(
    st.tuples(st.just("ALLOW"), st.lists(_rule, max_size=3)),
    st.tuples(st.just("ALLOW"), some(_rule, 3)),
    st.tuples(pick("DENY", "AUDIT"), some(_rule, 3)),
    st.tuples(st.just("DENY"), some(_rule, 3)),
    st.tuples(st.just("CUSTOM"), some(st.builds(lambda one: {"to": one}, _to))),
)
authorizations = st.builds(
    _policy,
    st.tuples(pick("p", "q", "r"), pick("one", "one", "two", "istio-system")),
    st.none() | pick("b", "c"),
    _decisions,
    dry=pick(False, False, False, True),  # noqa: FBT003 - values to choose from
)


def _tokens(app: str | None, *, twice: bool) -> Object:
    rules = [{"issuer": "me", "jwks": "KEYS"}]
    if twice:
        rules.append({"issuer": "you", "jwks": "KEYS"})
    spec: Object = {"jwtRules": rules, **({"selector": {"matchLabels": {"app": app}}} if app else {})}
    return made("security.istio.io/v1", "RequestAuthentication", "tokens", "one", spec)


tokens = st.builds(_tokens, st.none() | pick("b"), twice=st.booleans())
