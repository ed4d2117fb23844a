"""Where everything goes in a scenario's picture: latency over time, fault windows, outcomes per slice.

Pure geometry; `templates/timeline.svg.j2` draws it. Some exchanges are marks with a title each, the rest
shapes of one path per backend or outcome, which keeps a page of thirty scenarios small.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshtest.report import words
from meshtest.report.exchanges import (
    CLASSES,
    CLIENT_ERROR,
    NO_RESPONSE,
    OK,
    SERVER_ERROR,
    outcome_class,
    outcome_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.report.model import ChangeEntry, ExchangeEntry, FaultEntry, Strip

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 960, 300, 58, 12, 22, 236
STRIP_TOP, STRIP_HEIGHT = 262, 22
COLOURS = 6
"""Backends with a colour of their own; the rest share the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One exchange with a title."""

    x: float
    y: float
    shape: str
    colour: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """Exchanges of one backend, or that failed alike, as one path."""

    path: str
    style: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A fault window, or part of a slice of the strip."""

    x: float
    y: float
    width: float
    height: float
    style: str
    title: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A moment at which something was done."""

    x: float
    title: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A line of the grid."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Everything that the template draws."""

    marks: Sequence[Mark]
    clouds: Sequence[Cloud]
    bands: Sequence[Box]
    rules: Sequence[Rule]
    slices: Sequence[Box]
    across: Sequence[Tick]
    up: Sequence[Tick]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Time to x, latency to y."""

    start: float
    span: float
    low: int
    high: int
    """Decades of seconds."""

    def x(self, moment: float) -> float:
        """Epoch seconds to x, kept within the picture."""
        part = min(1.0, max(0.0, (moment - self.start) / self.span))
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)

    def y(self, latency: float) -> float:
        """Latency to y, logarithmic."""
        part = (math.log10(max(latency, 10.0**self.low)) - self.low) / (self.high - self.low)
        return round(BOTTOM - min(1.0, part) * (BOTTOM - TOP), 1)


def palette(backends: Mapping[str, int]) -> dict[str, str]:
    """A colour class for each backend, by name, so that two pictures of the same mesh look alike."""
    named = sorted(name for name in backends if name)
    colours = {name: f"b{min(index, COLOURS - 1)}" for index, name in enumerate(named)}
    return {**colours, "": "bx"}


def timeline(
    entries: Sequence[ExchangeEntry],
    faults: Iterable[FaultEntry],
    strip: Strip,
    *,
    titled: int,
    dotted: int,
    changes: Iterable[ChangeEntry] = (),
) -> Timeline:
    """The picture of these exchanges; `strip` sets the extent of time, as it saw them all."""
    scale = _scale(entries, strip)
    colours = palette({one["backend"]: 1 for one in entries})
    well = [one for one in entries if outcome_class(one) == OK]
    ill = [one for one in entries if outcome_class(one) != OK]
    told = _evenly(ill, max(titled // 2, titled - len(well)))
    some = _evenly(well, titled - len(told))
    names = {one["id"] for one in (*some, *told)}
    rest = [_evenly([one for one in group if one["id"] not in names], dotted) for group in (well, ill)]
    return Timeline(
        marks=[_mark(one, scale, colours) for one in (*some, *told)],
        clouds=[cloud for group in rest for cloud in _clouds(group, scale, colours)],
        bands=_bands(list(faults), scale),
        rules=_rules(changes, scale),
        slices=_slices(strip, scale),
        across=_across(scale),
        up=[Tick(at=scale.y(10.0**n), text=_decade(n)) for n in range(scale.low, scale.high + 1)],
    )


def _evenly(items: Sequence[ExchangeEntry], limit: int) -> Sequence[ExchangeEntry]:
    return items if len(items) <= limit else [items[n * len(items) // limit] for n in range(limit)]


def _scale(entries: Sequence[ExchangeEntry], strip: Strip) -> Scale:
    span = strip["width"] * len(strip["bins"]) or 0.001
    latencies = [max(one["latency"], 1e-5) for one in entries] or [0.001]
    low = math.floor(math.log10(min(latencies)))
    high = math.ceil(math.log10(max(latencies)))
    return Scale(start=strip["start"], span=span, low=low, high=max(high, low + 1))


def _mark(one: ExchangeEntry, scale: Scale, colours: Mapping[str, str]) -> Mark:
    kind = outcome_class(one)
    parts = [
        outcome_label(one),
        one["backend"] or "no backend",
        words.seconds(one["latency"]),
        f"at {words.offset(one['started'] - scale.start)}",
        f"{one['attempts']} attempts" if (one["attempts"] or 0) > 1 else "",
        f"faults {', '.join(one['faults'])}" if one["faults"] else "",
        one["id"],
    ]
    return Mark(
        x=scale.x(one["started"]),
        y=scale.y(one["latency"]),
        shape=kind,
        colour=colours[one["backend"]] if kind == OK else kind,
        title=" · ".join(part for part in parts if part),
    )


_SHAPES = {
    OK: "h0",
    CLIENT_ERROR: "m0-4.6 4.4 8h-8.8z",
    SERVER_ERROR: "m0-4.8 4.8 4.8-4.8 4.8-4.8-4.8z",
    NO_RESPONSE: "m-3.8-3.8 7.6 7.6m0-7.6-7.6 7.6",
}
"""Drawn from the exchange's place on; the same shapes as in `templates/marks.html.j2`."""


def _clouds(entries: Iterable[ExchangeEntry], scale: Scale, colours: Mapping[str, str]) -> list[Cloud]:
    places: dict[tuple[str, str], dict[tuple[float, float], None]] = defaultdict(dict)
    for one in entries:
        kind = outcome_class(one)
        group = (kind, one["backend"] if kind == OK else outcome_label(one))
        places[group][scale.x(one["started"]), scale.y(one["latency"])] = None
    return [
        Cloud(
            path="".join(f"M{x:g} {y:g}{_SHAPES[kind]}" for x, y in found),
            style=f"cloud {colours[name]}" if kind == OK else f"mark {kind}",
            title=name or "no backend",
        )
        for (kind, name), found in sorted(places.items())
    ]


def _bands(faults: Sequence[FaultEntry], scale: Scale) -> list[Box]:
    bands = []
    for index, fault in enumerate(faults):
        injected = fault.get("injected") or scale.start
        recovered = fault.get("recovered") or scale.start + scale.span
        left, right = scale.x(injected), scale.x(recovered)
        target = fault.get("target", "")
        label = f"{fault.get('kind', 'fault')}{f' → {target}' if target else ''}"
        window = f"{words.offset(injected - scale.start)} to {words.offset(recovered - scale.start)}"
        bands.append(
            Box(
                x=left,
                y=TOP,
                width=max(2.0, round(right - left, 1)),
                height=BOTTOM - TOP,
                style=f"f{index % 3}",
                title=f"{label}, {window}",
                label=_brief(label),
            )
        )
    return bands


def _rules(changes: Iterable[ChangeEntry], scale: Scale) -> list[Rule]:
    """Where each change was live, or was known to be held up."""
    rules = []
    for change in changes:
        made, what = change.get("made") or 0.0, change.get("what", "")
        if made:
            held = f", {change['held']}" if change.get("held") else ""
            title = f"{what}, {words.offset(made - scale.start)}{held}"
            rules.append(Rule(x=scale.x(made), title=title, label=_brief(what)))
    return rules


def _brief(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


def _slices(strip: Strip, scale: Scale) -> list[Box]:
    """One column per slice of time, stacked by outcome class, worst on top."""
    boxes = []
    for index, counted in enumerate(strip["bins"]):
        whole, bottom = sum(counted.values()), float(STRIP_TOP + STRIP_HEIGHT)
        left = scale.x(strip["start"] + index * strip["width"])
        right = scale.x(strip["start"] + (index + 1) * strip["width"])
        for kind in CLASSES:
            part = counted.get(kind, 0)
            if not part:
                continue
            # A single failure among thousands must still be seen.
            height = max(3.0, STRIP_HEIGHT * part / whole)
            top = max(float(STRIP_TOP), bottom - height)
            boxes.append(
                Box(
                    x=left,
                    y=round(top, 1),
                    width=round(right - left - 1, 1),
                    height=round(bottom - top, 1),
                    style=kind,
                    title=f"{words.offset(index * strip['width'])}: {part} of {whole} {kind}",
                )
            )
            bottom = max(top, STRIP_TOP + 3.0)
    return boxes


def _across(scale: Scale) -> list[Tick]:
    rough = scale.span / 6
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    marks = [step * n for n in range(int(scale.span / step) + 1)]
    return [Tick(at=scale.x(scale.start + at), text=_short(at)) for at in marks]


def _short(at: float) -> str:
    return "0" if not at else f"{at * 1000:g} ms" if at < 0.9995 else f"{at:g} s"


def _decade(power: int) -> str:
    return f"{10**power} s" if power >= 0 else f"{10.0 ** (power + 3):g} ms"
