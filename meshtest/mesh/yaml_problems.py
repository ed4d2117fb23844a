"""The YAML parser's complaints in plain words."""

from __future__ import annotations

import re

from yaml.error import MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

PLAIN_WORDS = (
    (
        "mapping values are not allowed",
        'a second ":" in one value, or wrong indentation; a value that contains ": " needs quotes',
    ),
    ("did not find expected key", "this line does not fit the indentation or the structure above it"),
    ("did not find expected '-' indicator", "a list item was expected here; check the indentation"),
    ("block sequence entries are not allowed", "a list item cannot stand here; check the indentation"),
    ("could not find expected ':'", 'this key has no ":" after it'),
    ("found unexpected end of stream", "the text ends inside quotes"),
    ("did not find expected ',' or ']'", 'a "[" is not closed, or a comma is missing'),
    ("did not find expected ',' or '}'", 'a "{" is not closed, or a comma is missing'),
    ("did not find expected <document start>", 'text after the end of a document; is a "---" missing?'),
    ("found duplicate anchor", "an anchor is defined twice"),
    ("found undefined alias", "an alias (*name) has no anchor (&name) before it"),
    (
        "found unknown escape character",
        "an unknown escape inside double quotes; single quotes take a backslash as it is",
    ),
    ("cannot start any token", 'no value can start with this character ("@", "`", "%" ...); quote the value'),
    ("did not find expected node content", "a value is missing here"),
    ("control characters are not allowed", "a control character stands here"),
    ("invalid trailing UTF-8", "the text is not UTF-8"),
    ("invalid leading UTF-8", "the text is not UTF-8"),
)
BEGUN_EARLIER = ("found unexpected end of stream", "could not find expected ':'")
TEMPLATE = re.compile(r"\{\{-?\s*[.$\w(/]")
TAB = re.compile(r"[ ]*\t")


def translate(error: Exception, text: str) -> tuple[str, int]:
    """What is wrong in plain words, and the line of `text` counted from 0."""
    problem, line = _problem_and_line(error, text)
    lines = text.splitlines()
    here = lines[line] if line < len(lines) else ""
    if TEMPLATE.search(here) or any(TEMPLATE.search(row) for row in lines[: line + 1]):
        problem = f"{problem} (this looks like a template; render it first, as `helm template` does)"
        return f"broken YAML: {problem}", line
    if TAB.match(here):
        return "broken YAML: a tab indents this line; YAML indents with spaces", line
    return f"broken YAML: {problem}", line


def _problem_and_line(error: Exception, text: str) -> tuple[str, int]:
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        if error.context_mark and (error.problem or "").startswith(BEGUN_EARLIER):
            mark = error.context_mark  # where the quote or key begins, not where the parser gave up
        return _words(error.problem or str(error)), int(mark.line) if mark else 0
    if isinstance(error, ReaderError):
        position = error.position if isinstance(error.position, int) else 0
        return _words(error.reason), text.encode(errors="replace")[:position].count(b"\n")
    if isinstance(error, YAMLError):
        return _words(str(error)), 0
    return "the text is not UTF-8", 0


def _words(problem: str) -> str:
    for sign, words in PLAIN_WORDS:
        if sign in problem:
            return words
    return problem
