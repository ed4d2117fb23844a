"""The three HTTP filters by which marked requests meet their fault, before the router of inbound chains.

    Lua: which marks hit here? ──headers──► Envoy's fault filter ──► headers removed again ──► router

They are part of every inbound chain from the start: injecting a fault changes no configuration.
"""

from __future__ import annotations

from pathlib import Path

from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.common.fault.v3 import fault_pb2 as common_fault_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.type.v3 import percent_pb2

from meshtest.envoy.bootstrap import socket_path
from meshtest.envoy.marks import ANYWHERE, PREFIX

GATE = "x-meshtest-fault"
_REMOVED = (
    GATE,
    "x-envoy-fault-abort-request",
    "x-envoy-fault-abort-grpc-request",
    "x-envoy-fault-delay-request",
    "x-envoy-fault-throughput-response",
)
_ALWAYS = percent_pb2.FractionalPercent(numerator=100)


# Every inbound chain has a Lua state of its own per thread, made anew whenever a policy changes the chain. So what
# stands in the configuration is small, and reads the rest when the first marked request comes.
_ENTRY = """
local decide
function envoy_on_request(handle)
  local headers = handle:headers()
  headers:remove("{gate}")
  local baggage = headers:get("baggage")
  if baggage and baggage:find("{prefix}", 1, true) then
    decide = decide or assert(loadfile("{path}"))()
    decide(handle, headers, baggage)
  end
end
"""


def script(*answers_to: str) -> str:
    """The Lua program of a sidecar that answers to these names; it lies in the control plane's folder."""
    names = ", ".join(f'["{name}"]=true' for name in (ANYWHERE, *answers_to))
    code = Path(__file__).with_name("faults.lua").read_text(encoding="utf-8")
    return f"local ANSWERS_TO = {{{names}}}\n{code}"


def script_path(directory: str, pod: str) -> str:
    """Where a pod's sidecar reads it."""
    return socket_path(directory, pod, "lua")


def fault_filters(directory: str, pod: str) -> list[hcm_pb2.HttpFilter]:
    """The filters for one sidecar."""
    entry = _ENTRY.format(gate=GATE, prefix=PREFIX, path=script_path(directory, pod))
    code = base_pb2.DataSource(inline_string=entry)
    marks = _filter("meshtest.marks", lua_pb2.Lua(default_source_code=code))
    return [marks, _filter("meshtest.fault", _fault()), _clean()]


def _fault() -> fault_pb2.HTTPFault:
    config = fault_pb2.HTTPFault(
        delay=common_fault_pb2.FaultDelay(header_delay={}, percentage=_ALWAYS),
        abort=fault_pb2.FaultAbort(header_abort={}, percentage=_ALWAYS),
        response_rate_limit=common_fault_pb2.FaultRateLimit(header_limit={}, percentage=_ALWAYS),
    )
    config.headers.append(route_components_pb2.HeaderMatcher(name=GATE, present_match=True))
    return config


def _clean() -> hcm_pb2.HttpFilter:
    config = header_mutation_pb2.HeaderMutation()
    for name in _REMOVED:
        config.mutations.request_mutations.append(mutation_rules_pb2.HeaderMutation(remove=name))
    return _filter("meshtest.clean", config)


def _filter(name: str, config: object) -> hcm_pb2.HttpFilter:
    chosen = hcm_pb2.HttpFilter(name=name)
    chosen.typed_config.Pack(config, deterministic=True)
    return chosen
