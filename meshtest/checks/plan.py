"""How many requests a scenario needs, where it leaves that to meshtest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.checks import statistics
from meshtest.scenario.bounds import ShareBounds
from meshtest.scenario.expect_answer import PERCENTILES, Latency
from meshtest.scenario.expect_callee import AnsweredBy

if TYPE_CHECKING:
    from meshtest.scenario.expect import CheckSpec
    from meshtest.scenario.model import Scenario
    from meshtest.scenario.traffic import Traffic

DETECT = 0.1
"""The smallest difference that a share check must notice, unless it says so itself."""


def requests_for(scenario: Scenario, traffic: Traffic) -> int:
    """How many requests this traffic has to send: as written, or as many as its checks need."""
    if traffic.total is not None:
        return traffic.total
    about = [check for check in scenario.expect if check.traffic in ("", traffic.name)]
    return max((needed(check) for check in about), default=1)


def needed(check: CheckSpec) -> int:
    """How many requests a check needs to tell right from wrong."""
    what = check.what
    if isinstance(what, AnsweredBy) and what.shares:
        return statistics.samples_for(what.shares, what.detect or DETECT, alpha=what.false_alarm)
    if isinstance(what, Latency):
        return max(statistics.samples_needed(PERCENTILES[name]) for name in what.limits)
    share = getattr(what, "share", None)
    if isinstance(share, ShareBounds) and share.about is not None:
        return statistics.sample_size(share.about, share.detect or DETECT, alpha=share.false_alarm)
    return 1
