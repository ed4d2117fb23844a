from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from meshtest.cli import COMMANDS, main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from suites.unit.cli.conftest import Said

HEAVY = ("yaml", "pytest", "jinja2", "grpc", "google", "envoy", "cryptography", "subprocess", "asyncio")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(name in said for name in COMMANDS)


def test_no_command_is_a_cry_for_help(cli: Callable[..., Said]) -> None:
    assert "usage: meshtest" in cli().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: meshtest {command}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys, json, contextlib; from meshtest.cli import main\n"
        f"with contextlib.suppress(SystemExit): main({words!r})\n"
        "json.dump(sorted({name.partition('.')[0] for name in sys.modules}), sys.stderr)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr
    bare = subprocess.run(
        [sys.executable, "-c", "import sys, json; json.dump(sorted(sys.modules), sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert not (set(json.loads(said)) & set(HEAVY)) - set(json.loads(bare))


def test_python_runs_it_as_a_module() -> None:
    argv = [sys.executable, "-m", "meshtest", "--help"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert said.startswith("usage: meshtest ")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("meshtest 0.")


def test_a_misspelt_command_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["vaildate"])
    assert ended.value.code == 2
    assert "did you mean 'validate'?" in capsys.readouterr().err


def test_a_wrong_file_is_one_line_and_status_2(cli: Callable[..., Said], here: Path) -> None:
    (here / "a.yaml").write_text("kind: Service\n")
    said = cli("render", "web", "a.yaml")
    assert said.status == 2
    assert said.err.startswith("a.yaml:1: apiVersion: missing")
    assert "Traceback" not in said.err


def test_a_wrong_environment_is_one_line_and_status_3(process: Callable[..., Said], shop: Path) -> None:
    assert shop.is_dir()
    said = process("validate", "k8s", env={"MESHTEST_ISTIOD": "/nonexistent"})
    assert said.status == 3
    assert said.err.startswith("meshtest: MESHTEST_ISTIOD=/nonexistent is not a program")
    assert said.err.count("\n") == 1


def test_a_file_that_cannot_be_written_is_one_line(
    cli: Callable[..., Said], shop: Path, engine: Path
) -> None:
    assert engine.is_file()
    said = cli("validate", "k8s", "--sarif", str(shop / "missing" / "x.sarif"))
    assert said.status == 3
    assert "No such file or directory" in said.err


def test_a_reader_that_has_seen_enough_is_no_error(shop: Path, engine: Path) -> None:
    assert engine.is_file()
    line = f"{sys.executable} -c 'import sys; from meshtest.cli import main; sys.exit(main())' render web k8s | head -1"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, cwd=shop, check=False)
    assert done.stdout == "listeners:\n"
    assert done.stderr == ""
