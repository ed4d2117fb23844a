"""PyYAML's parser in Python, for builds of PyYAML without libyaml."""

from __future__ import annotations

from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner


class PureParser(Reader, Scanner, Parser, Composer):
    """The same interface as `yaml.cyaml.CParser`."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
