"""The short-lived container of a pod: sets rules in the pod's network namespace and ends.

Its configuration, JSON in MESHTEST_CONFIG: `uid` of Envoy; `interception` (null: none), once; `old` and `new` cluster
IPs; `subnet` and `host`: what does not go to a pod of the run is refused at once, as is what goes to those that are
`gone`. A packet fault is `held`: its container waits on standard input for `go`, `count` and `restore`, and answers
with how many packets have vanished.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from meshtest.runtime.base import Interception
from meshtest.runtime.docker import pod_rules
from meshtest.runtime.netns import nft, spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.runtime.netns.netlink import Message


def main(config: Mapping[str, Any]) -> int:
    """Set the rules, all or none of them."""
    if "held" in config:
        return _obey(config["held"])
    messages: list[Message] = []
    if config.get("first"):
        found = config["interception"]
        messages += pod_rules.base_messages(config["subnet"], config["host"])
        if found is not None:
            messages += pod_rules.redirects(interception_from_json(found), config["uid"])
    if "new" in config:
        messages += _services(config)
    if "gone" in config:
        messages += pod_rules.gone(config["gone"])
    if messages:
        nft.commit(messages)
    return 0


def _obey(fault: Mapping[str, Any]) -> int:
    """Lose packets and let them pass again, word by word; without anybody to say a word, at its end."""
    name = fault["name"]
    for word in map(str.strip, sys.stdin):
        packets = pod_rules.dropped(name) if word in {"count", "restore"} else 0
        if word == "go":
            nft.commit(pod_rules.losses(name, fault["rules"]))
        elif word == "restore":
            nft.commit(pod_rules.restored(name))
        sys.stdout.write(json.dumps({"packets": packets}) + "\n")
        sys.stdout.flush()
        if word == "restore":
            break
    return 0


def _services(config: Mapping[str, Any]) -> list[Message]:
    old, new = (spec.cluster_ips_from_json({"cluster_ips": config[key]}) for key in ("old", "new"))
    return pod_rules.services(old, new)


def interception_from_json(found: Mapping[str, Any]) -> Interception:
    """The redirects of a pod."""
    listed: dict[str, Any] = {key: None if value is None else tuple(value) for key, value in found.items()}
    return Interception(**listed)


if __name__ == "__main__":
    sys.exit(main(json.loads(os.environ["MESHTEST_CONFIG"])))
