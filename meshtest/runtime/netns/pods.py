"""A pod's namespaces: made by the supervisor, which steps into new ones, fills them, and steps back."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Command
from meshtest.runtime.netns import disks, files, kernel, links, netlink, nft, rules, tproxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.runtime.base import Interception
    from meshtest.runtime.netns.spec import PodSpec

_PIPE_SIZE = 256 * 1024
_SET_PIPE_SIZE = 1031


class Namespaces:
    """The network, mount and UTS namespace that this process is in, kept open."""

    def __init__(self) -> None:
        self.net = links.namespace_descriptor("net")
        self._others = [links.namespace_descriptor(kind) for kind in ("uts", "mnt")]

    def enter(self) -> None:
        """Move this process into them."""
        for descriptor in (self.net, *self._others):
            kernel.setns(descriptor)

    def close(self) -> None:
        """Let go of them."""
        for descriptor in (self.net, *self._others):
            os.close(descriptor)


class PodPlace:
    """Where a pod's processes run, and where its access log comes out."""

    def __init__(self, spec: PodSpec, number: int, home: Namespaces) -> None:
        self.spec = spec
        self.number = number
        self.access = -1
        kernel.unshare(kernel.CLONE_NEWNET | kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS)
        try:
            self._fill(home.net)
            self.namespaces = Namespaces()
        finally:
            home.enter()
        self._attach()

    def _fill(self, router: int) -> None:
        with netlink.Netlink(netlink.ROUTE) as route:
            route.send(links.pod_messages(self.spec.ip, self.number, router))
        if self.spec.interception is not None:
            _intercept(self.spec.interception)
            links.forget_closed_connections_soon()
        kernel.set_hostname(self.spec.hostname)
        files.prepare_pod(self.spec)
        if isinstance(self.spec.application, Command):
            disks.mount(self.spec.application.disk)

    def _attach(self) -> None:
        with netlink.Netlink(netlink.ROUTE) as route:
            route.send(links.attach_messages(self.spec.ip, self.number))
        target = files.namespace_file(self.spec.slug)
        target.touch()
        kernel.mount(f"/proc/self/fd/{self.namespaces.net}", str(target), flags=kernel.MS_BIND)

    @contextlib.contextmanager
    def inside(self, home: Namespaces) -> Iterator[None]:
        """Be in the pod's network for a moment: a socket made there stays there."""
        kernel.setns(self.namespaces.net)
        try:
            yield
        finally:
            kernel.setns(home.net)

    def open_access_log(self) -> int:
        """Make the pipe of the access log and return a descriptor to read it.

        The supervisor keeps it open for writing too, so that it does not end when an Envoy does.
        """
        path = files.access_log(self.spec.slug)
        os.mkfifo(path, 0o600)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.access = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        # The pipes of all of a user's sandboxes share a limit: a smaller pipe is still a pipe.
        with contextlib.suppress(OSError):
            import fcntl  # noqa: PLC0415 - only for sidecars

            fcntl.fcntl(reader, _SET_PIPE_SIZE, _PIPE_SIZE)
        return reader

    def close(self) -> None:
        """Take the pod's network away; its processes must have ended."""
        with netlink.Netlink(netlink.ROUTE) as route, contextlib.suppress(OSError):
            route.send(links.detach_messages(self.number))
        target = files.namespace_file(self.spec.slug)
        kernel.unmount(str(target))
        target.unlink()
        files.access_log(self.spec.slug).unlink(missing_ok=True)
        if self.access >= 0:
            os.close(self.access)
        self.namespaces.close()


def _intercept(interception: Interception) -> None:
    try:
        nft.commit(rules.redirect_messages(interception))
        if interception.transparent:
            tproxy.route()
    except OSError as exc:
        if not interception.transparent:
            raise
        raise RuntimeFailure(f"this kernel has no TPROXY, use interceptionMode REDIRECT: {exc}") from exc
