"""Verdicts: pure functions of what a scenario expects and what the history shows."""

from __future__ import annotations

from meshtest.checks.evidence import Facts, facts_of
from meshtest.checks.plan import requests_for
from meshtest.checks.run import judge_scenario, run
from meshtest.checks.text import render
from meshtest.checks.verdict import CheckResult, Verdict, combine

__all__ = [
    "CheckResult",
    "Facts",
    "Verdict",
    "combine",
    "facts_of",
    "judge_scenario",
    "render",
    "requests_for",
    "run",
]
