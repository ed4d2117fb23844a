"""The stand-in in a container of its own: `python -m meshtest.standin --port 8080 --port 3306=server-first`.

`--config FILE` (or `-` for standard input) takes the JSON that `meshtest.standin.server.main` takes, instead.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.standin.config import Plays, Speaks
from meshtest.standin.server import main

if TYPE_CHECKING:
    from collections.abc import Sequence


def _config(arguments: Sequence[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(
        prog="python -m meshtest.standin", description="meshtest's stand-in service"
    )
    spoken = ", ".join(each.value for each in Speaks)
    parser.add_argument("--port", action="append", default=[], help=f"PORT or PORT=PROTOCOL; one of {spoken}")
    parser.add_argument(
        "--plays", default="workload", help=f"one of {', '.join(each.value for each in Plays)}"
    )
    parser.add_argument("--key-set", default="", help="plays jwks: a file with the key set")
    parser.add_argument("--allow-service-account", action="append", default=[], help="plays ext-authz: NAME")
    parser.add_argument("--call", action="append", default=[], help="URL called for each request received")
    parser.add_argument("--workload", default="")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--pod", default=os.uname().nodename)
    parser.add_argument("--config", help="file with the whole configuration as JSON, or -")
    given = parser.parse_args(arguments)
    if given.config is not None:
        text = sys.stdin.read() if given.config == "-" else Path(given.config).read_text(encoding="utf-8")
        config: dict[str, Any] = json.loads(text)
        return config
    ports = []
    for each in given.port or ["8080"]:
        number, _, protocol = each.partition("=")
        ports.append({"port": int(number), "protocol": protocol or "auto"})
    return {
        "workload": given.workload,
        "namespace": given.namespace,
        "pod": given.pod,
        "ports": ports,
        "calls": [{"url": url} for url in given.call],
        "plays": given.plays,
        "keySet": Path(given.key_set).read_text(encoding="utf-8") if given.key_set else "",
        "allowServiceAccounts": given.allow_service_account,
    }


if __name__ == "__main__":
    sys.exit(main(_config(sys.argv[1:])))
