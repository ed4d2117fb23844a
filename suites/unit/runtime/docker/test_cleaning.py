from __future__ import annotations

import subprocess
import sys

LATE = """
import atexit
from meshtest.runtime.docker import runtime

class Daemon:
    def labelled(self, label):
        yield "network", "n", {}
        yield "container", "c", {}
    def remove(self, kind, name):
        print(kind, name)
    def close(self):
        pass

runtime.Daemon = Daemon
atexit.register(runtime._remove_at_last, "run")
"""


def test_what_could_not_be_removed_before_is_when_the_process_ends() -> None:
    """When threads cannot be started any more."""
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True)
    assert (done.stdout.split("\n"), done.stderr) == (["container c", "network n", ""], "")
