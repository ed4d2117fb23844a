"""`meshtest validate`: what a cluster would say to manifests and scenarios, without a cluster and without a pod."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.cli.terminal import Terminal, count, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from meshtest.cli.findings import Finding
    from meshtest.cli.judging import Judgement

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.epilog = "Exit status: 0 no error, 1 an error (with --strict: or a warning)."
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="manifests, *.mesh.yaml, folders, globs; - is standard input"
    )
    parser.add_argument("--json", action="store_true", help="print the messages as a JSON list")
    parser.add_argument("--sarif", metavar="FILE", help="write them as SARIF 2.1.0 too")
    parser.add_argument("--strict", action="store_true", help="fail on warnings as well")
    parser.add_argument(
        "--allow-unsupported",
        action="store_true",
        help="warn of kinds that nothing acts on instead of refusing them",
    )


def run(options: argparse.Namespace) -> int:
    """Judge, tell, and fail where there is an error."""
    from meshtest.cli.findings import sarif, tidy  # noqa: PLC0415 - `--help` needs nothing of it

    judgement = _judge(options)
    findings = tidy(judgement.findings)
    if options.sarif:
        from meshtest import __version__  # noqa: PLC0415 - as above

        Path(options.sarif).write_text(
            json.dumps(sarif(findings, __version__), indent=1) + "\n", encoding="utf-8"
        )
    if options.json:
        sys.stdout.write(json.dumps([one.to_dict() for one in findings], indent=1) + "\n")
    else:
        _print(findings)
    say(_summary(judgement, findings))
    fatal = {"error", "warning"} if options.strict else {"error"}
    return 1 if any(one.level in fatal for one in findings) else 0


def _judge(options: argparse.Namespace) -> Judgement:
    from meshtest.cli.judging import Judge, files_of  # noqa: PLC0415 - `--help` needs nothing of it
    from meshtest.runner.pool import MeshPool, PoolOptions  # noqa: PLC0415 - as above

    files = files_of(options.paths)
    pool = MeshPool(PoolOptions(root=Path.cwd(), allow_unsupported=options.allow_unsupported, progress=say))
    try:
        return Judge(pool).judge(files)
    finally:
        pool.close()


def _print(findings: Sequence[Finding]) -> None:
    terminal = Terminal()
    for one in findings:
        level = f"{one.level} [{one.code}]"
        terminal.line(str(one).replace(level, terminal.paint(_COLOURS.get(one.level, "dim"), level), 1))


def _summary(judgement: Judgement, findings: Sequence[Finding]) -> str:
    looked = [count(judgement.objects, "object")] if judgement.objects or not judgement.scenarios else []
    looked += [count(judgement.scenarios, "scenario")] if judgement.scenarios else []
    told = [
        count(number, word)
        for level, word in (("error", "error"), ("warning", "warning"), ("info", "note"))
        if (number := sum(one.level == level for one in findings))
    ]
    kinds = sorted({one.ref.kind for one in judgement.passed_over})
    passed_over = f" (mean nothing to a mesh and are passed over: {', '.join(kinds)})" if kinds else ""
    return f"{' and '.join(looked)}{passed_over}: {', '.join(told) or 'nothing to complain about'}"
