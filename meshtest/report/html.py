"""The report: one HTML page that needs nothing but itself, made from the journal alone.

Its policy lets it load nothing and run only the one script that stands in it; every value is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.errors import MeshTestError
from meshtest.report import words
from meshtest.report.clean import printable
from meshtest.report.journal import Journal, write_atomically
from meshtest.report.results import complete, counts
from meshtest.report.view import views

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Environment

    from meshtest.report.model import Result, Run

_TEMPLATES = Path(__file__).parent / "templates"
_GENERATOR = '<meta name="generator" content="meshtest">'


def render(directory: Path | str, *, rows: int = 1000) -> Path:
    """Make `index.html` of a report's folder from its journal, with about `rows` exchanges in it.

    Raises:
        MeshTestError: there is no journal, or index.html is a page of somebody else.
    """
    folder = Path(directory)
    run, results = Journal(directory=folder).read()
    target = folder / "index.html"
    if target.exists() and _GENERATOR not in target.read_text("utf-8", "replace")[:2000]:
        raise MeshTestError(f"{target}: not a page that meshtest made; expected a folder for reports alone")
    return write_atomically(target, page(run, results, rows=rows))


def page(run: Mapping[str, Any] | Run, results: Sequence[Result], *, rows: int = 1000) -> str:
    """The whole page."""
    environment = _environment()
    style, script = _source("report.css"), _source("report.js")
    tallied = counts(results)
    return environment.get_template("page.html.j2").render(
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        run=run,
        facts=_facts(run),
        finished=run.get("finished", False),
        counts=tallied,
        total=sum(tallied.values()),
        title=headline(tallied),
        results=views([complete(one) for one in results], rows=rows),
    )


def headline(tallied: Mapping[str, int]) -> str:
    """`1 fail, 2 unknown, 15 pass`."""
    return ", ".join(f"{number} {name}" for name, number in tallied.items() if number) or "nothing ran"


def _facts(run: Mapping[str, Any] | Run) -> list[tuple[str, str]]:
    names = ("runtime", "istiod", "envoy", "meshtest", "seed", "python", "platform", "workers")
    facts = [(name, str(run[name])) for name in names if run.get(name) not in (None, "")]  # type: ignore[literal-required]
    facts.append(("started", words.moment(run.get("start") or 0.0)))
    facts.append(("took", words.seconds(run.get("duration") or 0.0) if run.get("duration") else ""))
    return [(name, text) for name, text in facts if text]


def _environment() -> Environment:
    """Jinja with escaping on for every template, whatever its name ends with."""
    import jinja2  # noqa: PLC0415 - the pytest plugin imports this module before it knows of any scenario

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = words.seconds
    return environment


def _finalize(value: Any) -> Any:
    """Runs over every value put on the page: what cannot be seen is made visible."""
    return printable(value) if type(value) is str else value


def _source(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def _hash(source: str) -> str:
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return f"'sha256-{digest}'"
