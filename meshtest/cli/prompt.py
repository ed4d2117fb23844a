"""The prompt of `meshtest up`: a few words to send requests, change policies and look into pods."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from typing import TYPE_CHECKING, NoReturn

from meshtest.cli.terminal import Terminal
from meshtest.cli.up import show, tell
from meshtest.errors import MeshTestError, ScenarioError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshtest.live.mesh import Mesh
    from meshtest.traffic.model import Exchange

HELP = {
    "request": "request CALLER URL [-X METHOD] [-H NAME:VALUE] [-d BODY]   send one request",
    "apply": "apply PATH...                                             add or replace objects",
    "delete": "delete PATH...                                            remove the objects that stand there",
    "pods": "pods                                                      pods and services",
    "exec": "exec POD COMMAND...                                       run a program of this machine in a pod",
    "logs": "logs POD [application|sidecar]                            the last lines that it wrote",
    "help": "help                                                      this list",
    "quit": "quit                                                      end the mesh",
}
_MOST = 2000
"""Characters of a body that are shown."""


class _Line(argparse.ArgumentParser):
    """A parser of one typed line: its mistakes are told, and the prompt goes on."""

    def error(self, message: str) -> NoReturn:
        raise ScenarioError(f"{message}; usage: {self.usage}")


class Prompt:
    """Reads lines and does what they say."""

    def __init__(self, mesh: Mesh, terminal: Terminal | None = None) -> None:
        self._mesh = mesh
        self._terminal = terminal or Terminal()
        self._commands: dict[str, Callable[[list[str]], None]] = {
            "request": self._request,
            "apply": self._apply,
            "delete": self._delete,
            "pods": self._pods,
            "exec": self._exec,
            "logs": self._logs,
            "help": self._help,
        }

    def loop(self) -> int:
        """Until `quit`, the end of the input, or Ctrl-C."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401, PLC0415 - gives input() a history; not every Python has it
        while True:
            try:
                line = input("mesh> ")
            except EOFError:
                self._terminal.line()
                return 0
            except KeyboardInterrupt:
                self._terminal.line()
                raise
            if not self.do(line):
                return 0

    def do(self, line: str) -> bool:
        """Carry out one line; whether to go on."""
        try:
            words = shlex.split(line)
            if words[:1] in (["quit"], ["exit"]):
                return False
            if words:
                self._command(words[0])(words[1:])
        except (MeshTestError, ValueError) as exc:
            self._terminal.line(self._terminal.paint("red", str(exc)))
        return True

    def _command(self, word: str) -> Callable[[list[str]], None]:
        if word not in self._commands:
            guess = nearest(word, HELP)
            hint = f"did you mean {guess!r}?" if guess else f"there are {', '.join(HELP)}"
            raise ScenarioError(f"no command {word!r}; {hint}")
        return self._commands[word]

    def _help(self, _words: list[str]) -> None:
        for text in HELP.values():
            self._terminal.line(f"  {text}")

    def _pods(self, _words: list[str]) -> None:
        show(self._mesh, self._terminal)

    def _request(self, words: list[str]) -> None:
        line = _Line("request", usage=HELP["request"].partition("   ")[0], add_help=False)
        line.add_argument("caller")
        line.add_argument("url")
        line.add_argument("-X", dest="method", default=None)
        line.add_argument("-H", dest="headers", action="append", default=[])
        line.add_argument("-d", dest="body", default="")
        found = line.parse_args(words)
        method = found.method or ("POST" if found.body else "GET")
        headers = [header(text) for text in found.headers]
        exchange = self._mesh.request(
            found.caller, found.url, method=method, headers=headers, body=found.body
        )
        for text in told(exchange):
            self._terminal.line(text)

    def _apply(self, words: list[str]) -> None:
        pushed = self._mesh.apply(*_some(words, "apply"))
        tell(pushed.notices)
        self._terminal.line(f"live on every sidecar after {1000 * (pushed.engine + pushed.push):.0f} ms")

    def _delete(self, words: list[str]) -> None:
        pushed = self._mesh.delete(*_some(words, "delete"))
        tell(pushed.notices)
        self._terminal.line(f"gone from every sidecar after {1000 * (pushed.engine + pushed.push):.0f} ms")

    def _exec(self, words: list[str]) -> None:
        pod, *argv = _some(words, "exec", least=2)
        done = self._mesh.execute(pod, argv)
        for text in (done.stdout, done.stderr):
            if text:
                self._terminal.line(text.rstrip("\n"))
        if done.returncode:
            self._terminal.line(f"exit status {done.returncode}")

    def _logs(self, words: list[str]) -> None:
        from meshtest.live.requests import find_caller  # noqa: PLC0415 - the mesh has it loaded
        from meshtest.runtime.base import Part  # noqa: PLC0415 - as above

        pod, *which = _some(words, "logs")
        part = which[0] if which else Part.APPLICATION.value
        if part not in {one.value for one in Part}:
            raise ScenarioError(
                f"{part!r} is no part of a pod", expected=" or ".join(one.value for one in Part)
            )
        key = find_caller(self._mesh.model, pod).key
        text = self._mesh.logs(key, Part(part))
        self._terminal.line(text.rstrip("\n") or "nothing was written")


def _some(words: list[str], command: str, least: int = 1) -> list[str]:
    if len(words) < least:
        raise ScenarioError(f"usage: {HELP[command].partition('   ')[0]}")
    return words


def header(text: str) -> tuple[str, str]:
    """`NAME:VALUE` as a pair."""
    name, colon, value = text.partition(":")
    if not colon or not name:
        raise ScenarioError(f"{text!r} is no header", expected="NAME:VALUE")
    return name.strip(), value.strip()


def told(exchange: Exchange) -> Sequence[str]:
    """What became of a request, hop by hop."""
    head = str(exchange.status) if exchange.status is not None else exchange.outcome.value
    parts = [f"{head} after {1000 * exchange.latency:.1f} ms"]
    if exchange.backend is not None:
        parts.append(f"from {exchange.backend.namespace}/{exchange.backend.pod}")
    if exchange.grpc_status is not None:
        parts.append(f"grpc-status {exchange.grpc_status}")
    if exchange.attempts is not None and exchange.attempts > 1:
        parts.append(f"{exchange.attempts} attempts")
    parts.append(f"as {exchange.peer_identity}" if exchange.peer_identity else "no identity verified")
    lines = [", ".join(parts)]
    if exchange.error:
        lines.append(f"  {exchange.error}")
    for hop in exchange.hops:
        facts = [
            hop.side,
            str(hop.status) if hop.status is not None else "",
            hop.flags,
            hop.details,
            hop.cluster,
        ]
        lines.append(f"  {hop.pod}: {' '.join(fact for fact in facts if fact)}")
    text = exchange.body.decode("utf-8", "replace").rstrip("\n")
    if exchange.backend is None and text:  # else it is the stand-in's own report, told above
        lines.append(text if len(text) <= _MOST else f"{text[:_MOST]}... ({len(text)} characters)")
    return lines
