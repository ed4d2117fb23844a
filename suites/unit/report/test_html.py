from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import MeshTestError
from meshtest.report.html import page, render
from meshtest.report.journal import Journal
from meshtest.report.view import reproduce

if TYPE_CHECKING:
    from pathlib import Path

_VOID = frozenset({"meta", "input", "br", "img", "link"})


class Page(HTMLParser):
    """A page as elements; fails where tags do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        tag = self.open[-1] if self.open else ""
        self.texts[tag] = self.texts.get(tag, "") + data

    def all(self, tag: str, style: str = "") -> list[dict[str, str | None]]:
        return [
            found
            for name, found in self.elements
            if name == tag and (not style or style in (found.get("class") or "").split())
        ]

    @property
    def text(self) -> str:
        return " ".join(text for tag, text in self.texts.items() if tag not in ("style", "script"))


def shown(invented: Any, results: list[Any]) -> Page:
    return Page(page(invented.facts(results), results))


@pytest.mark.parametrize("number", [0, 1, 30])
def test_shows_every_result_once(invented: Any, number: int) -> None:
    found = shown(invented, invented.many(number))
    assert len(found.all("li", "result")) == number
    assert ("Nothing ran" in found.text) == (number == 0)


def test_thirty_scenarios_fit_in_three_megabytes(invented: Any) -> None:
    results = [invented.failed(f"s-{n}", number=500) for n in range(30)]
    assert len(page(invented.facts(results), results).encode()) < 3_000_000


def test_the_worst_comes_first_and_counts_are_shown(invented: Any) -> None:
    found = shown(invented, [invented.scenario(), invented.unknown(), invented.failed()])
    assert [one["data-verdict"] for one in found.all("li", "result")] == ["fail", "unknown", "pass"]
    assert "1 fail, 1 unknown, 1 pass" in found.texts["title"]


def test_nothing_hostile_becomes_markup(invented: Any) -> None:
    evil = invented.HOSTILE
    one = invented.failed()
    table = one["exchanges"]
    table["rows"] = [[evil if isinstance(cell, str) else cell for cell in row] for row in table["rows"]]
    hostile = dict.fromkeys(("name", "reason", "description", "failure", "file", "runtime"), evil)
    found = shown(
        invented,
        [
            {
                **one,
                **hostile,
                "labels": {evil: evil},
                "steps": [{"name": evil, "status": evil}],
                "faults": [dict.fromkeys(("id", "kind", "target", "placement"), evil)],
                "checks": [
                    {
                        "name": evil,
                        "verdict": evil,
                        "reason": evil,
                        "observed": {evil: evil},
                        "evidence": [evil],
                    }
                ],
                "policies": [{"ref": evil, "yaml": evil}],
                "messages": [{"level": evil, "text": evil, "code": evil}],
                "decisions": [{"policy": evil, "effect": evil, "count": 1, "example": evil}],
            }
        ],
    )
    assert found.all("img") == []
    assert len(found.all("script")) == len(found.all("style")) == 1
    assert {"\x1b", "\u202e"}.isdisjoint(found.text)
    assert "{{ 7*7 }}" in found.text


def test_loads_nothing_and_runs_only_its_own_script(invented: Any) -> None:
    text = page(invented.facts([]), invented.many(3))
    found = Page(text)
    policy = next(one for one in found.all("meta") if one.get("http-equiv"))["content"]
    assert policy
    assert policy.startswith("default-src 'none'; ")
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(found.texts[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not [
        name
        for _, attributes in found.elements
        for name in attributes
        if name in ("src", "style") or name.startswith("on")
    ]
    assert all((one["href"] or "").startswith("#") for one in (*found.all("a"), *found.all("use")))
    assert "url(http" not in text
    assert "@import" not in text


def test_links_lead_to_something_and_ids_are_unique(invented: Any) -> None:
    found = shown(invented, [invented.failed("a"), invented.failed("b")])
    ids = [one["id"] for _, one in found.elements if one.get("id")]
    assert len(ids) == len(set(ids))
    targets = [one["href"] for one in found.all("a")]
    assert len(targets) == 8
    assert {(target or "")[1:] for target in targets} <= set(ids)


def test_draws_latency_over_time_with_fault_windows(invented: Any) -> None:
    found = shown(invented, [invented.failed(number=2000)])
    assert len(found.all("g", "band")) == 1
    assert len(found.all("use", "server-error")) > 10
    assert found.all("path", "cloud")
    assert "abort 503 → default/ratings-v1" in found.texts["text"]


def test_a_few_exchanges_are_a_table_without_picture(invented: Any) -> None:
    found = shown(invented, [invented.scenario(sent=invented.traffic(3))])
    assert found.all("figure", "timeline") == []
    assert len(found.all("details", "exchange")) == 3


def test_shows_the_way_of_an_exchange_and_who_decided(invented: Any) -> None:
    found = shown(invented, [invented.failed()])
    for part in (
        "sidecar, outbound, http",
        "fault_filter_abort",
        "URX",
        "AuthorizationPolicy default/deny-reviews rule 0: denied",
        "spiffe://cluster.local/ns/default/sa/bookinfo-reviews (TLSv1.3)",
    ):
        assert part in found.text


def test_says_when_evidence_is_missing_or_a_fault_was_not_met(invented: Any) -> None:
    found = shown(invented, [invented.unknown()])
    assert "nothing crossed it" in found.text
    lost = invented.scenario(sent=[invented.exchange(1, complete=False)])
    assert "an access log line that must exist was not found" in shown(invented, [lost]).text


def test_says_how_long_a_recovery_took(invented: Any) -> None:
    one = invented.unknown()
    one["faults"][0]["leaving"] = one["faults"][0]["recovered"] - 0.25
    assert "recovered in 250 ms" in shown(invented, [one]).text


def test_says_how_to_reproduce(invented: Any) -> None:
    one = invented.scenario(id="suites/a b.mesh.yaml::x[$(id)]")
    assert reproduce(one) == "pytest 'suites/a b.mesh.yaml::x[$(id)]' --mesh-seed=42 --mesh-runtime=netns"


def test_tells_how_many_exchanges_are_not_shown(invented: Any) -> None:
    found = shown(invented, [invented.scenario(sent=invented.traffic(2500))])
    assert "1\u202f850 more in the journal" in found.text
    assert "500 left out of the journal" in found.text


def test_renders_again_from_the_journal_alone(tmp_path: Path, invented: Any) -> None:
    path = invented.write(tmp_path, [invented.failed(), invented.scenario()])
    first = path.read_text()
    assert path == tmp_path / "index.html"
    path.unlink()
    assert render(str(tmp_path)).read_text() == first


def test_a_run_that_did_not_finish_is_rendered_and_says_so(tmp_path: Path, invented: Any) -> None:
    Journal(directory=tmp_path).write(invented.scenario())
    assert "this run did not finish" in render(tmp_path).read_text()


def test_does_not_overwrite_a_page_of_somebody_else(tmp_path: Path, invented: Any) -> None:
    Journal(directory=tmp_path).write(invented.scenario())
    (tmp_path / "index.html").write_text("<h1>my site</h1>")
    with pytest.raises(MeshTestError, match="not a page that meshtest made"):
        render(tmp_path)


def test_a_test_that_reran_says_so(invented: Any) -> None:
    found = shown(invented, [invented.scenario(earlier=["fail"])])
    assert re.search(r"after\s+fail", found.text)
