"""The fields that Kubernetes knows in workloads, so that a misspelt one does not pass as one left out.

Workloads never reach the engine, which judges everything else strictly; names as in k8s.io/api v0.36.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.errors import ManifestError, nearest
from meshtest.mesh.fields import Fields, fields_of
from meshtest.mesh.yaml_lines import child_path

if TYPE_CHECKING:
    from collections.abc import Collection

    from meshtest.mesh.model import Manifest


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OBJECT = frozenset(("apiVersion", "kind", "metadata", "spec", "status"))
METADATA = _words("""
    name generateName namespace selfLink uid resourceVersion generation creationTimestamp deletionTimestamp
    deletionGracePeriodSeconds labels annotations ownerReferences finalizers managedFields
    """)
WORKLOADS = {
    "Deployment": _words("""
        replicas selector template strategy minReadySeconds revisionHistoryLimit paused
        progressDeadlineSeconds
        """),
    "StatefulSet": _words("""
        replicas selector template volumeClaimTemplates serviceName podManagementPolicy updateStrategy
        revisionHistoryLimit minReadySeconds persistentVolumeClaimRetentionPolicy ordinals
        """),
    "DaemonSet": _words("selector template updateStrategy minReadySeconds revisionHistoryLimit"),
    "ReplicaSet": _words("replicas minReadySeconds selector template"),
}
POD = _words("""
    volumes initContainers containers ephemeralContainers restartPolicy terminationGracePeriodSeconds
    activeDeadlineSeconds dnsPolicy nodeSelector serviceAccountName serviceAccount
    automountServiceAccountToken nodeName hostNetwork hostPID hostIPC shareProcessNamespace securityContext
    imagePullSecrets hostname subdomain affinity schedulerName tolerations hostAliases priorityClassName
    priority dnsConfig readinessGates runtimeClassName enableServiceLinks preemptionPolicy overhead
    topologySpreadConstraints setHostnameAsFQDN os hostUsers schedulingGates resourceClaims resources
    hostnameOverride schedulingGroup
    """)
CONTAINER = _words(
    """
    name image command args workingDir ports envFrom env resources resizePolicy restartPolicy
    restartPolicyRules volumeMounts volumeDevices livenessProbe readinessProbe startupProbe lifecycle
    terminationMessagePath terminationMessagePolicy imagePullPolicy securityContext stdin stdinOnce tty
    """
)
PORT = _words("name hostPort containerPort protocol hostIP")


def check_workload(manifest: Manifest) -> None:
    """Raise ManifestError if a workload has a field that Kubernetes does not know."""
    top = fields_of(manifest)
    _check(top, OBJECT)
    _check(top.mapping("metadata"), METADATA)
    if manifest.ref.kind == "Pod":
        _check_pod(top.mapping("spec"))
        return
    spec = top.mapping("spec")
    _check(spec, WORKLOADS[manifest.ref.kind])
    template = spec.mapping("template")
    _check(template, ("metadata", "spec"))
    _check(template.mapping("metadata"), METADATA)
    _check_pod(template.mapping("spec"))


def _check_pod(spec: Fields) -> None:
    _check(spec, POD)
    for container in [*spec.items("containers"), *spec.items("initContainers")]:
        _check(container, CONTAINER)
        for port in container.items("ports"):
            _check(port, PORT)


def _check(fields: Fields, known: Collection[str]) -> None:
    for key in fields.value:
        if key not in known:
            raise ManifestError(
                "unknown field",
                location=fields.at(key),
                key=child_path(fields.path, key),
                nearest=nearest(key, known),
            )
