"""Limits and text matches, the parts that many checks share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshtest.scenario.fields import Key, Shape, Short, key, record
from meshtest.scenario.scalars import boolean, integer, probability, regex, scalar_text, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshtest.scenario.fields import Spot

FALSE_ALARM = 1e-6
"""How often a share check may fail although the mesh is right, unless the scenario says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Limits of a number: of attempts, of seconds, of hits."""

    at_least: float | None = None
    at_most: float | None = None
    exactly: float | None = None

    def hold(self, value: float) -> bool:
        """Whether a value is within them."""
        if self.exactly is not None:
            return value == self.exactly
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)

    def text(self, unit: str = "") -> str:
        """`≤ 2 attempts`."""
        tail = f" {unit}" if unit else ""
        if self.exactly is not None:
            return f"exactly {self.exactly:g}{tail}"
        low = f"≥ {self.at_least:g}" if self.at_least is not None else ""
        high = f"≤ {self.at_most:g}" if self.at_most is not None else ""
        return " and ".join(part for part in (low, high) if part) + tail


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareBounds:
    """Limits of a share of requests, from 0 to 1; `about` is judged by exact binomial acceptance."""

    at_least: float | None = None
    at_most: float | None = None
    exactly: float | None = None
    about: float | None = None
    detect: float | None = None
    """The smallest difference from `about` that must be seen."""
    false_alarm: float = FALSE_ALARM

    @property
    def bounds(self) -> Bounds:
        """The limits without the statistics."""
        return Bounds(at_least=self.at_least, at_most=self.at_most, exactly=self.exactly)


def agree(low: float | None, high: float | None, exactly: float | None, spot: Spot) -> None:
    """Refuse limits that nothing can meet."""
    if low is not None and high is not None and low > high:
        raise spot.error("atLeast is above atMost", expected="atLeast not above atMost")
    if exactly is not None and (low is not None or high is not None):
        raise spot.error("exactly stands beside atLeast or atMost", expected="one of them")


def _agree(bounds: Bounds, spot: Spot) -> None:
    agree(bounds.at_least, bounds.at_most, bounds.exactly, spot)


def bounds_of(number: Shape[float] | Shape[int]) -> Shape[Bounds]:
    """`{atLeast, atMost, exactly}` of a kind of number; the number alone means exactly."""
    return record(Bounds, limit_keys(number), short=Short(attribute="exactly", shape=number), verify=_agree)


def limits_of(number: Shape[float] | Shape[int]) -> Shape[Bounds]:
    """`{atLeast, atMost}` of a measured number, which is never exactly anything."""
    keys = limit_keys(number)
    del keys["exactly"]
    return record(Bounds, keys, verify=_agree)


def limit_keys(number: Shape[float] | Shape[int]) -> dict[str, Key]:
    """The keys of limits."""
    return {
        "atLeast": key("at_least", number),
        "atMost": key("at_most", number),
        "exactly": key("exactly", number),
    }


def counts(least: int = 0) -> Shape[Bounds]:
    """Limits of a count."""
    return bounds_of(integer(least=least))


SHARE_KEYS = {
    **limit_keys(share()),
    "about": key("about", share()),
    "detect": key("detect", share()),
    "falseAlarm": key("false_alarm", probability()),
}


def verify_share(limits: ShareBounds, spot: Spot) -> None:
    """Refuse shares that contradict themselves."""
    agree(limits.at_least, limits.at_most, limits.exactly, spot)
    fixed = (limits.at_least, limits.at_most, limits.exactly)
    if limits.about is None:
        if limits.detect is not None:
            raise spot.error(
                "detect stands without about", expected="about: the share that detect differs from"
            )
        if all(limit is None for limit in fixed):
            raise spot.error("no limit", expected="atLeast, atMost, exactly or about")
    elif any(limit is not None for limit in fixed):
        raise spot.error("about stands beside a fixed limit", expected="one of them")
    elif limits.detect is not None and limits.detect == 0:
        raise spot.error("a difference of 0% needs endless requests", expected="detect above 0%")


def shares() -> Shape[ShareBounds]:
    """Limits of a share."""
    return record(
        ShareBounds, SHARE_KEYS, short=Short(attribute="exactly", shape=share()), verify=verify_share
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMatch:
    """What a text must be; the words are those of Istio's StringMatch."""

    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    contains: str | None = None
    regex: str | None = None
    present: bool | None = None

    def holds(self, values: Sequence[str]) -> bool:
        """Whether any of the values (none: absent) is as wanted."""
        if self.present is not None:
            return bool(values) is self.present
        return any(self._holds(value) for value in values)

    def _holds(self, value: str) -> bool:
        wanted = (
            self.exact is None or value == self.exact,
            self.prefix is None or value.startswith(self.prefix),
            self.suffix is None or value.endswith(self.suffix),
            self.contains is None or self.contains in value,
            self.regex is None or re.fullmatch(self.regex, value) is not None,
        )
        return all(wanted)

    def text(self) -> str:
        """What it wants, in words."""
        if self.present is not None:
            return "present" if self.present else "absent"
        parts = {"": self.exact, "prefix ": self.prefix, "suffix ": self.suffix, "contains ": self.contains}
        said = [f"{name}{value!r}" for name, value in parts.items() if value is not None]
        return " and ".join(said + ([f"regex {self.regex!r}"] if self.regex is not None else []))


def _one_sense(match: TextMatch, spot: Spot) -> None:
    texts = (match.exact, match.prefix, match.suffix, match.contains, match.regex)
    if match.present is not None and any(each is not None for each in texts):
        raise spot.error("present stands beside a text", expected="one of them: a text implies presence")


def text_match() -> Shape[TextMatch]:
    """A text, or `{exact, prefix, suffix, contains, regex, present}`."""
    anything = scalar_text()
    keys = {name: key(name, anything) for name in ("exact", "prefix", "suffix", "contains")}
    keys["regex"] = key("regex", regex())
    keys["present"] = key("present", boolean())
    return record(TextMatch, keys, short=Short(attribute="exact", shape=anything), verify=_one_sense)
