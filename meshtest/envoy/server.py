"""The control plane's process: ADS and SDS for every Envoy, and the operations that pytest's process asks.

Envoys are started when the socket accepts, so it is opened before anything heavy is imported.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from envoy.service.discovery.v3 import discovery_pb2

from meshtest import wire

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from meshtest.envoy.plane import ControlPlane

_ADS = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_SDS = "envoy.service.secret.v3.SecretDiscoveryService"
_MESSAGE_BOUND = 256 << 20


def warm() -> None:
    """Load what `main` loads only when its socket is open: for one that starts before it is needed."""
    import meshtest.envoy.plane  # noqa: F401, PLC0415 - heavy


def main(config: dict[str, Any], sock: socket.socket) -> NoReturn:
    """Serve until the peer of `sock` hangs up; `config` is {"directory": ..., "seed": ...}."""
    asyncio.run(_serve(config, sock))
    raise AssertionError("serving ends the process")


async def _serve(config: dict[str, Any], sock: socket.socket) -> NoReturn:
    plane: asyncio.Future[ControlPlane] = asyncio.get_running_loop().create_future()
    server = await _listen(f"{config['directory']}/xds.sock", plane)
    from meshtest.envoy.plane import ControlPlane as Plane  # noqa: PLC0415 - heavy: after the socket is open

    told = {key: config[key] for key in ("seed", "resolver") if key in config}
    control = Plane(config["directory"], **told)
    plane.set_result(control)
    sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
    reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 20)
    await wire.serve(reader, writer, control.handle)
    del server  # kept until here: grpc ends with its last reference
    # Nothing is left to tidy up, and an orderly end would have grpc report every cancelled stream on stderr.
    os._exit(0)


async def _listen(path: str, plane: asyncio.Future[ControlPlane]) -> grpc.aio.Server:
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", _MESSAGE_BOUND),
            ("grpc.max_send_message_length", _MESSAGE_BOUND),
        ]
    )

    async def delta(
        requests: AsyncIterator[discovery_pb2.DeltaDiscoveryRequest], _context: object
    ) -> AsyncIterator[discovery_pb2.DeltaDiscoveryResponse]:
        control = await asyncio.shield(plane)
        async for response in control.proxies.serve(requests):
            yield response

    async def secrets(
        requests: AsyncIterator[discovery_pb2.DiscoveryRequest], _context: object
    ) -> AsyncIterator[discovery_pb2.DiscoveryResponse]:
        control = await asyncio.shield(plane)
        async for response in control.secrets.serve(requests):
            yield response

    deltas = (discovery_pb2.DeltaDiscoveryRequest, discovery_pb2.DeltaDiscoveryResponse)
    whole = (discovery_pb2.DiscoveryRequest, discovery_pb2.DiscoveryResponse)
    server.add_generic_rpc_handlers(
        (
            _streams(_ADS, "DeltaAggregatedResources", delta, *deltas),
            _streams(_SDS, "StreamSecrets", secrets, *whole),
        )
    )
    before = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{path}")
    finally:
        os.umask(before)
    await server.start()
    return server


def _streams(
    service: str, method: str, serve: Any, asked: Any, answered: Any
) -> grpc.GenericRpcHandler[Any, Any]:
    """A service with one method that has streams both ways, of these messages."""
    handler = grpc.stream_stream_rpc_method_handler(
        serve,
        request_deserializer=asked.FromString,
        response_serializer=answered.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(service, {method: handler})
