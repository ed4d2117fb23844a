"""The page: per kind what is refused, what is without effect, and where each other field is used by a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ci.support.effects import ACTED_ON, NOTES, VALUES, WITHOUT_EFFECT
from meshtest.mesh.kinds import KINDS, Treatment
from meshtest.mesh.proxy_config import TRACERS
from meshtest.mesh.unsupported import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ci.support.fields import Field, Kind

HEAD = """\
# What is supported

Made by `python -m ci.support > docs/support.md`; a unit test keeps it so. The fields are those of the CRDs, Kubernetes
types and protobuf descriptors in the istiod engine; the refusals are those of the code.

A field of a kind that is acted on has the effect that istiod's own code gives it, whether a test of this project uses
it or not; what has none is told apart:

- *Refused* is an error with file and line. With `--mesh-allow-unsupported` it is accepted, and does nothing.
- *Without effect* is accepted, as a cluster accepts it.

Which tests use a field was found by reading the YAML and the mappings in [suites](../suites), not by running them. A
text that a test puts together out of small pieces may be missed; and that a field stands in a test does not say that
its effect is looked at. `conformance` are the manifests of the Gateway API's own conformance tests. Where several
suites use a field, the first is named. Metadata is left out (labels, annotations, names and times mean what they
always mean), and so is status.
"""


@dataclass(frozen=True, slots=True)
class Use:
    """Where a field is used first."""

    suite: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one kind."""

    kind: Kind
    root: Field
    uses: Mapping[str, Use] = field(default_factory=dict)

    @property
    def refused(self) -> Mapping[str, str]:
        """Fields -> why."""
        found = {
            part.path: part.reason
            for part in PARTS
            if part.group == self.kind[0] and self.kind[1] in part.kinds
        }
        if self.kind == ("", "MeshConfig"):
            reason = "spans are sent to Zipkin, or to what Telemetry names"
            found |= {f"defaultConfig.tracing.{name}": reason for name in TRACERS}
        return found

    @property
    def without_effect(self) -> Mapping[str, str]:
        """Fields -> why."""
        return WITHOUT_EFFECT.get(self.kind, {})

    def has_effect(self, path: str) -> bool:
        """Whether something acts on a field."""
        acted_on = ACTED_ON.get(self.kind)
        if acted_on is not None:
            return any(_is_below(path, one) for one in acted_on)
        return not any(_is_below(path, one) for one in (*self.refused, *self.without_effect))

    @property
    def leaves(self) -> list[Field]:
        """The fields without fields of their own that have an effect."""
        return [leaf for leaf in self.root.leaves() if leaf.path and self.has_effect(leaf.path)]


def page(kinds: Iterable[Facts]) -> str:
    """The whole of it as Markdown."""
    every = list(kinds)
    parts = [HEAD, "\n".join(_overview(every)), *("\n".join(_section(one)) for one in every)]
    return "\n\n".join([*parts, "\n".join(_other_kinds())]) + "\n"


def _overview(kinds: Iterable[Facts]) -> Iterator[str]:
    yield "| kind | fields with an effect | used by a suite | by unit tests only | no test found | refused |"
    yield "|---|---|---|---|---|---|"
    for one in kinds:
        uses = [one.uses.get(leaf.path, Use()) for leaf in one.leaves]
        suite, unit = (
            sum(bool(use.suite) for use in uses),
            sum(bool(use.unit and not use.suite) for use in uses),
        )
        numbers = (len(uses), suite, unit, len(uses) - suite - unit, len(one.refused))
        yield f"| [{one.kind[1]}](#{_anchor(one.kind)}) | {' | '.join(map(str, numbers))} |"


def _section(one: Facts) -> Iterator[str]:
    group, name = one.kind
    known = KINDS.get(one.kind)
    versions = f"`{'`, `'.join(known.api_versions)}`" if known else ""
    yield f"## {name}{f' ({group})' if group and _is_twofold(name) else ''}"
    yield ""
    yield " ".join(filter(None, (versions and f"{versions}.", NOTES.get(one.kind, "")))).strip()
    yield ""
    for title, table in (("Refused", one.refused), ("Without effect", one.without_effect)):
        if table:
            yield f"**{title}**"
            yield ""
            yield from _reasons(table)
            yield ""
    if values := VALUES.get(one.kind):
        yield f"**Refused values**: {values}."
        yield ""
    rows = list(_rows(one, one.root))
    if rows:
        yield "| in | used by a suite | by unit tests only | no test found |"
        yield "|---|---|---|---|"
        yield from rows
        yield ""
    if one.kind in ACTED_ON:
        rest = ", ".join(f"`{path}`" for path in _idle(one, one.root))
        yield f"**Without effect**: {rest or 'nothing else'}."


def _reasons(table: Mapping[str, str]) -> Iterator[str]:
    """Fields with the same reason in one line."""
    found: dict[str, list[str]] = {}
    for path, reason in table.items():
        found.setdefault(reason, []).append(f"`{path}`")
    yield from (f"- {', '.join(paths)}: {reason}." for reason, paths in found.items())


def _rows(one: Facts, at: Field) -> Iterator[str]:
    """A row for a field and those right in it, then the rows of those that have fields that are used."""
    suites: dict[str, list[str]] = {}
    units: dict[str, list[str]] = {}
    none: list[str] = []
    deeper: list[Field] = []
    for each in at.within.values():
        leaves = [leaf.path for leaf in each.leaves() if one.has_effect(leaf.path)]
        if not leaves:
            continue
        if not any(path in one.uses for path in leaves):
            none.append(f"`{_bare(each.name)}`" + _number(each, leaves))
        elif each.within:
            deeper.append(each)
        else:
            use = one.uses[each.path]
            table, place = (suites, use.suite) if use.suite else (units, use.unit)
            table.setdefault(place, []).append(f"`{_bare(each.name)}`")
    if suites or units or none:
        cells = (_cell(suites), _cell(units), ", ".join(none))
        yield f"| {f'`{at.path}`' if at.path else ''} | {' | '.join(cells)} |"
    for each in deeper:
        yield from _rows(one, each)


def _number(at: Field, leaves: list[str]) -> str:
    return f" ({len(leaves)} field{'s' * (len(leaves) != 1)})" if at.within else ""


def _cell(table: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{place}: {', '.join(names)}" for place, names in table.items())


def _idle(one: Facts, at: Field) -> Iterator[str]:
    """The highest fields of which nothing has an effect."""
    for each in at.within.values():
        if not any(one.has_effect(leaf.path) for leaf in each.leaves()):
            yield _bare(each.path)
        elif each.within:
            yield from _idle(one, each)


def _other_kinds() -> Iterator[str]:
    yield "## Other kinds"
    yield ""
    yield "**Refused**"
    yield ""
    for kind in KINDS.values():
        if kind.treatment is Treatment.REFUSED:
            yield f"- {kind.name} of `{kind.group or 'v1'}`: {kind.reason}."
    yield ""
    yield "**Passed over**, since they mean nothing to a mesh; `meshtest validate` lists them"
    yield ""
    groups: dict[str, list[str]] = {}
    for kind in KINDS.values():
        if kind.treatment is Treatment.PASSED_OVER:
            groups.setdefault(kind.group or "v1", []).append(kind.name)
    yield from (f"- `{group}`: {', '.join(names)}." for group, names in groups.items())
    yield ""
    yield "Every other kind is refused."


def _is_below(path: str, above: str) -> bool:
    bare, top = _bare(path), _bare(above)
    return bare == top or bare.startswith(f"{top}.")


def _bare(path: str) -> str:
    return path.replace("[]", "").replace("{}", "")


def _is_twofold(name: str) -> bool:
    return sum(kind.name == name for kind in KINDS.values()) > 1


def _anchor(kind: Kind) -> str:
    """As GitHub makes it of the heading."""
    group, name = kind
    return f"{name}-{group.replace('.', '')}".lower() if group and _is_twofold(name) else name.lower()
