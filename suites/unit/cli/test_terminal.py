from __future__ import annotations

import io

import pytest

from meshtest.cli.terminal import Terminal, count


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert Terminal(Screen()).paint("red", "no") == "\x1b[31mno\x1b[0m"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colour_gets_none(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert Terminal(Screen()).paint("red", "no") == "no"


def test_a_file_is_not_coloured() -> None:
    assert Terminal(io.StringIO()).paint("red", "no") == "no"


def test_a_table_stands_in_columns() -> None:
    screen = io.StringIO()
    Terminal(screen).table([("POD", "IP"), ("default/web", "10.0.0.1")], indent="")
    assert screen.getvalue() == "POD          IP\ndefault/web  10.0.0.1\n"


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(1, "pod", "1 pod"), (0, "pod", "0 pods"), (2, "policy", "2 policies"), (2, "Envoy", "2 Envoys")],
)
def test_numbers_agree_with_their_nouns(number: int, noun: str, text: str) -> None:
    assert count(number, noun) == text
