"""Plain scalars in `[...]` or `{...}` with a colon before a comma or a bracket, as `[10.0.0.1, 2001:db8::]`.

go-yaml, which kubectl and the API server use, takes the colon for a part of the scalar; libyaml takes it for an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yaml.error import MarkedYAMLError

_PROBLEM = "found unexpected ':'"
_PLAIN = re.compile(r"(?:(?!:\s|\s#)[^,\[\]{}\"'\\\n])+")
"""What go-yaml reads as one scalar, as far as quoting it changes nothing."""


def quoted(text: str, error: MarkedYAMLError) -> str | None:
    """The text with the scalar in quotes that an error is about, on the same line; None for any other error."""
    mark = error.context_mark
    if error.problem != _PROBLEM or mark is None:
        return None
    lines = text.split("\n")
    line = lines[mark.line]
    found = _PLAIN.match(line, mark.column)
    if found is None or ":" not in found[0]:
        return None
    lines[mark.line] = f'{line[: found.start()]}"{found[0].rstrip()}"{line[found.end() :]}'
    return "\n".join(lines)
