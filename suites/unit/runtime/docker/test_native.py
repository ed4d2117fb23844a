"""Istio's own proxy image in place of meshtest's Envoy; here an image that is laid out like it, with stock Envoy."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from meshtest import faults
from meshtest.errors import ConfigurationRejected, RuntimeFailure, Unsupported
from meshtest.live.mesh import Mesh
from meshtest.runtime.base import Action, Part
from meshtest.runtime.docker import image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.runtime.docker.client import Daemon

PROXY = "meshtest-proxyv2:1"
STOCK = {"PILOT_ENABLE_ALPN_FILTER": "false", "PILOT_ENABLE_METADATA_EXCHANGE": "false"}
"""Has istiod make nothing that Istio's own Envoy alone knows."""


@pytest.fixture(scope="module")
def proxy(daemon: Daemon) -> Iterator[str]:
    """An image with an Envoy where Istio's has one."""
    base = image.find_or_build(daemon, lambda _: None)
    link = f'RUN ["ln", "-s", "{image.ENVOY}", "/usr/local/bin/envoy"]'
    text = f'FROM {base}\nUSER 0\n{link}\nENTRYPOINT ["/bin/false"]\n'
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    daemon.build(context, PROXY, {})
    yield PROXY
    daemon.remove_image(PROXY)


@pytest.fixture(scope="module")
def mesh(proxy: str, two_manifests: str) -> Iterator[Mesh]:
    with Mesh.from_manifests(
        two_manifests, runtime="docker", proxies={"back": proxy}, engine_env=STOCK
    ) as found:
        yield found


def test_a_sidecar_of_that_image_serves_and_is_named(mesh: Mesh) -> None:
    one = mesh.request("front", "http://back/")
    assert one.status == 200
    inbound = next(hop for hop in one.hops if hop.side == "inbound")
    assert (inbound.pod, inbound.tls) == ("default/back-0", "TLSv1.3")
    assert mesh.envoy.endswith(f" ({PROXY}: default/back)")


def test_faults_hit_it_as_any_other(mesh: Mesh) -> None:
    with mesh.inject(faults.abort(to="back", http_status=418)):
        assert mesh.request("front", "http://back/").status == 418


def test_docker_kills_pauses_and_starts_it(mesh: Mesh) -> None:
    mesh.signal("back", Part.SIDECAR, Action.KILL)
    assert mesh.request("front", "http://back/").status == 503
    mesh.signal("back", Part.SIDECAR, Action.START)
    mesh._control._channel.call("ready", timeout=20)
    assert mesh.request("front", "http://back/").status == 200
    mesh.signal("back", Part.SIDECAR, Action.PAUSE)
    assert mesh.request("front", "http://back/", timeout=0.5).outcome == "timeout"
    mesh.signal("back", Part.SIDECAR, Action.RESUME)
    assert mesh.request("front", "http://back/").status == 200


def test_nothing_is_adapted_for_it(proxy: str, two_manifests: str) -> None:
    with pytest.raises(ConfigurationRejected, match=r"default/back-0 refused .*istio"):
        Mesh.from_manifests(two_manifests, runtime="docker", proxies={"*": proxy}).close()


def test_an_image_without_envoy_is_one_clear_error(daemon: Daemon, two_manifests: str) -> None:
    plain = image.recipe(daemon).base
    with pytest.raises(
        RuntimeFailure, match=r"default/back-0 proxy does not start: .*the image has no such program"
    ):
        Mesh.from_manifests(two_manifests, runtime="docker", proxies={"back": plain})


def test_netns_says_that_it_runs_no_such_images(two_manifests: str) -> None:
    with pytest.raises(Unsupported, match="runs no images: use --mesh-runtime=docker"):
        Mesh.from_manifests(two_manifests, runtime="netns", proxies={"*": PROXY})
