"""PID 1 of a sandbox: one thread and one loop that makes the pods and starts and watches every process.

    mounts ─► control plane ─► router, resolver ─► pods' networks ─► driver, applications ─┐
                   └─ xds.sock accepts ─► Envoys ──────────────────────────────────────────┴─► all ready

A request whose answer has to wait becomes a `Pending`; the loop asks each of them after every event.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

from meshtest.runtime.netns import files
from meshtest.runtime.netns.processes import EarlyRole, Forker, name_process, warm
from meshtest.runtime.netns.stream import FrameSocket

if TYPE_CHECKING:
    from typing import NoReturn

CONTROL_PLANE = "meshtest/control-plane"
DRIVER = "meshtest/driver"


def run(descriptors: list[int], targets: list[str], launcher: int) -> NoReturn:
    """Serve the first of four sockets (control, descriptors, control plane, driver) to its end.

    The control plane (the first target) takes longest to start and everything waits for it: it is forked before the
    rest of the supervisor is even loaded, and told what to do when the plan comes.
    """
    name_process("supervisor")
    forker = Forker(os.getcwd())  # noqa: PTH109 - as plain text, and before /run is rebuilt
    files.prepare()
    for number in descriptors:
        os.set_inheritable(number, False)  # noqa: FBT003 - the only way to say it
    sockets = [socket.socket(fileno=number) for number in descriptors]
    control = FrameSocket(sockets[0])
    early = EarlyRole(forker, CONTROL_PLANE, targets[0], sockets[2])

    from meshtest.runtime.netns.loop import Loop  # noqa: PLC0415 - see above
    from meshtest.runtime.netns.site import Site  # noqa: PLC0415 - see above

    for target in targets[1:]:
        if not control.has_news():
            warm(target)
    first = _first_request(control)
    timings = {"plan": time.monotonic()}
    early.tell(first["plan"]["control_plane"]["config"])
    channels = {CONTROL_PLANE: sockets[2], DRIVER: sockets[3]}
    site = Site(forker, sockets[1], channels, timings)
    loop = Loop(control, launcher, site)
    site.adopt(early.process)
    loop.serve(first)


def _first_request(control: FrameSocket) -> dict[str, Any]:
    while True:
        for frame in control.frames():
            return frame
        if not control.receive(wait=True):
            os._exit(0)
