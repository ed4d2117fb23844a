"""Which containers a sandbox is made of, as specifications. Pure.

None is privileged; all of meshtest's own have a read-only root, no capabilities and no way to new ones, except the
init container, which has NET_ADMIN and nothing else, for the moment that it lives.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshtest.mesh.names import file_name
from meshtest.runtime.docker import image as images
from meshtest.runtime.docker import labels, pod_rules
from meshtest.runtime.docker.client import CPU_PERIOD, ContainerSpec
from meshtest.runtime.role import CONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.mesh.disk import Disk
    from meshtest.runtime.base import Command, Image, PodPlan, Role
    from meshtest.runtime.docker.labels import Run
    from meshtest.runtime.docker.network import Network
    from meshtest.runtime.netns.netlink import Message
    from meshtest.runtime.netns.rules import ClusterIps

DIRECTORY = "/run/meshtest"
XDS = f"{DIRECTORY}/xds.sock"
"""Where the control plane is reached."""
SIDECAR_UID = 1337
"""Envoy's own, as Istio's; redirect rules tell it apart by this."""
OTHER_UID = 1338
CONTROL_PLANE, RESOLVER, DRIVER = "meshtest/control-plane", "meshtest/resolver", "meshtest/driver"
NAMES_ROLE = "meshtest.runtime.docker.names:main"
_HOLDER = f"{images.CODE}/meshtest/runtime/docker/holder.py"
_ISTIO_ENVOY = "/usr/local/bin/envoy"
"""In every image of Istio's proxy (istio/istio: pilot/docker/Dockerfile.proxyv2)."""
_REAPER = f"{images.CODE}/meshtest/runtime/docker/reaper.py"
_INIT = f"{images.CODE}/meshtest/runtime/docker/init.py"
_ENVOY_FLAGS = (
    "--disable-hot-restart",
    "--drain-time-s", "0",
    "--drain-strategy", "immediate",
    "--log-level", "warning",
    "--file-flush-min-size-kb", "0",
    "--file-flush-interval-msec", "1000",
    "--skip-deprecated-logs",
)  # fmt: skip
FORGETFUL = {"net.netfilter.nf_conntrack_tcp_timeout_time_wait": "10"}
"""As on netns, for the reasons of `netns.links.forget_closed_connections_soon`."""
_QUIET = {"Type": "none", "Config": {}}
"""What meshtest's own write on standard output is frames, and their errors are read as they come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What all containers of a sandbox have in common."""

    run: Run
    image_name: str
    network: Network
    concurrency: int = 1
    volume: str = ""
    extra_labels: Mapping[str, str] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=lambda: FORGETFUL)
    """Of pods."""

    def labelled(self, **more: str) -> dict[str, str]:
        """The labels of one container."""
        return {**self.extra_labels, **self.run.labels, **more}

    def name(self, words: str) -> str:
        """A container's name."""
        return f"{self.run.name}-{words.replace('/', '-')}"

    def own(self, name: str, role: Role, address: str, *, writable: bool = False) -> ContainerSpec:
        """One of meshtest's own processes; files can be copied only into one whose root is `writable`."""
        uid = SIDECAR_UID if name == CONTROL_PLANE else OTHER_UID
        volume = self._volume() if name == CONTROL_PLANE else {}
        return ContainerSpec(
            name=self.name(name.removeprefix("meshtest/")),
            image=self.image_name,
            command=[images.PYTHON, "-m", "meshtest.runtime.role", role.target],
            labels=self.labelled(**{labels.PART: name}),
            environment={CONFIG: json.dumps(dict(role.config))},
            user=f"{uid}:{uid}",
            attached=True,
            network=self.network.name,
            address=address,
            host={**_confined(writable=writable), "log_config": _QUIET, **volume},
        )

    def owner(self, plan: PodPlan) -> ContainerSpec:
        """The first container of a pod: its network namespace, and Envoy if it has one."""
        pod = plan.pod
        config: dict[str, Any] = {}
        if plan.bootstrap is not None:
            if not plan.proxy_image:
                config["argv"] = [images.ENVOY, *self._envoy(plan.bootstrap)]
                config["needs"] = XDS
            config["access_log"] = f"{DIRECTORY}/{file_name(pod.key)}.access"
        return ContainerSpec(
            name=self.name(pod.key),
            image=self.image_name,
            command=[images.PYTHON, "-I", "-S", _HOLDER],
            labels=self.labelled(**{labels.POD: pod.key, labels.PART: "sidecar"}),
            environment={CONFIG: json.dumps(config)},
            user=f"{SIDECAR_UID}:{SIDECAR_UID}",
            hostname=pod.host_name,
            attached=True,
            network=self.network.name,
            address=pod.ip,
            host={
                **_confined(),
                **self._names(plan),
                **self._volume(),
                "log_config": _QUIET,
                "sysctls": dict(self.sysctls),
            },
        )

    def _envoy(self, bootstrap: str) -> list[str]:
        return ["--config-yaml", bootstrap, "--concurrency", str(self.concurrency), *_ENVOY_FLAGS]

    def proxy(self, plan: PodPlan, owner: str) -> ContainerSpec:
        """The Envoy of an image of Istio's proxy, where one is asked for; it joins the first container."""
        return ContainerSpec(
            name=self.name(f"{plan.pod.key}-proxy"),
            image=plan.proxy_image,
            entrypoint=[_ISTIO_ENVOY],
            command=self._envoy(plan.bootstrap or ""),
            labels=self.labelled(**{labels.POD: plan.pod.key, labels.PART: "proxy"}),
            user=f"{SIDECAR_UID}:{SIDECAR_UID}",
            host={**_confined(), **self._volume(), "network_mode": f"container:{owner}"},
        )

    def application(self, plan: PodPlan, role: Role, owner: str) -> ContainerSpec:
        """A stand-in, or another role, as a pod's application."""
        return ContainerSpec(
            name=self.name(f"{plan.pod.key}-app"),
            image=self.image_name,
            command=[images.PYTHON, "-m", "meshtest.runtime.docker.nursery", role.target],
            labels=self.labelled(**{labels.POD: plan.pod.key, labels.PART: "application"}),
            environment={**plan.env, CONFIG: json.dumps(dict(role.config))},
            user=f"{OTHER_UID}:{OTHER_UID}",
            attached=True,
            host={**_confined(), "network_mode": f"container:{owner}", "log_config": _QUIET},
        )

    def image(self, plan: PodPlan, image: Image, owner: str, before: str = "") -> ContainerSpec:
        """A user's image as a pod's application: as its makers meant it, but without ways to more rights.

        Or, with a name, as the init container that runs `before` it.
        """
        limits = {
            "cpu_period": CPU_PERIOD if image.cpus else None,
            "cpu_quota": round(image.cpus * CPU_PERIOD) if image.cpus else None,
            "mem_limit": image.memory,
            "memswap_limit": image.memory,
        }
        return ContainerSpec(
            name=self.name(f"{plan.pod.key}-before-{before}" if before else f"{plan.pod.key}-app"),
            image=image.reference,
            entrypoint=image.command,
            command=image.args,
            labels=self.labelled(
                **{
                    labels.POD: plan.pod.key,
                    labels.PART: f"init container {before}" if before else "application",
                }
            ),
            environment={**plan.env, **image.env},
            user=image.user,
            workdir=image.working_directory or None,
            host={
                "network_mode": f"container:{owner}",
                "security_opt": ["no-new-privileges"],
                "group_add": [str(group) for group in image.groups],
                **self._mounts(image.disk, plan.pod.key),
                **{key: value for key, value in limits.items() if value is not None},
            },
        )

    def program(self, plan: PodPlan, command: Command, owner: str) -> ContainerSpec:
        """A program of the user's machine, which is copied into a container of meshtest's image."""
        return ContainerSpec(
            name=self.name(f"{plan.pod.key}-app"),
            image=self.image_name,
            command=command.argv,
            labels=self.labelled(**{labels.POD: plan.pod.key, labels.PART: "application"}),
            environment={**plan.env, **command.env},
            user=f"{OTHER_UID}:{OTHER_UID}",
            host={
                **_confined(writable=True),
                "network_mode": f"container:{owner}",
                "group_add": [] if command.disk.group is None else [str(command.disk.group)],
                **self._mounts(command.disk, plan.pod.key),
            },
        )

    def init(self, key: str, owner: str, number: int) -> ContainerSpec:
        """The short-lived container that sets a pod's rules."""
        return ContainerSpec(
            name=self.name(f"{key}-init-{number}"),
            image=self.image_name,
            command=[images.PYTHON, "-I", "-S", _INIT],
            labels=self.labelled(**{labels.POD: key, labels.PART: "init"}),
            user="0:0",
            attached=True,
            host={
                **_confined(),
                "cap_add": ["NET_ADMIN"],
                "network_mode": f"container:{owner}",
                "log_config": _QUIET,
            },
        )

    def reaper(self, socket_path: str) -> ContainerSpec:
        """The container that cleans up after a crash."""
        return ContainerSpec(
            name=self.name("reaper"),
            image=self.image_name,
            command=[images.PYTHON, "-I", "-S", _REAPER],
            labels=self.labelled(**{labels.PART: "meshtest/reaper"}),
            environment={CONFIG: json.dumps({"label": f"{labels.RUN}={self.run.name}"})},
            user="0:0",
            attached=True,
            host={
                **_confined(),
                "network_mode": "none",
                "auto_remove": True,
                "log_config": _QUIET,
                "binds": {socket_path: {"bind": "/var/run/docker.sock", "mode": "rw"}},
            },
        )

    def first_rules(self, plan: PodPlan, cluster_ips: ClusterIps) -> list[Message]:
        """What a pod's init container sets at the pod's start."""
        messages = pod_rules.base_messages(self.network.subnet, self.network.gateway)
        if plan.interception is not None:
            messages += pod_rules.redirects(plan.interception, SIDECAR_UID)
        return messages + pod_rules.services({}, cluster_ips)

    def volume_of(self, pod: str, name: str) -> str:
        """What the volume is called that the containers of a pod share."""
        return self.name(f"{pod}-volume-{name}")

    def _mounts(self, disk: Disk, pod: str) -> dict[str, Any]:
        """Volumes in which nothing is seen that the image has there; one without a name goes with its container."""
        options = {"NoCopy": True, "Labels": self.labelled()}
        found: list[dict[str, Any]] = [
            {"Type": "volume", "Target": path, "VolumeOptions": options} for path in disk.folders
        ]
        for one in found:
            if shared := disk.shared.get(one["Target"]):
                one["Source"] = self.volume_of(pod, shared)
        return {"mounts": found} if found else {}

    def _volume(self) -> dict[str, Any]:
        return {"binds": {self.volume: {"bind": DIRECTORY, "mode": "rw"}}}

    def _names(self, plan: PodPlan) -> dict[str, Any]:
        domain = "svc.cluster.local"
        return {
            "dns": [self.network.resolver],
            "dns_search": [f"{plan.pod.namespace}.{domain}", domain, "cluster.local"],
            "dns_opt": ["ndots:5"],
            "extra_hosts": dict(plan.hosts),
        }


def _confined(*, writable: bool = False) -> dict[str, Any]:
    """Few rights; files can be copied into a container only where its root can be written and nothing lies over it."""
    rights: dict[str, Any] = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
    if writable:
        return rights
    return {**rights, "read_only": True, "tmpfs": {"/tmp": "mode=1777,size=64m"}}  # noqa: S108 - inside the container
