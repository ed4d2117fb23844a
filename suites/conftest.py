"""For all suites of the project."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Answer Ctrl-C also where a shell started this in the background, which ignores it there and in every child."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
