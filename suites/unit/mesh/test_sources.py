from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.manifests import load

if TYPE_CHECKING:
    from meshtest.mesh.sources import Source

SECRET = "{{apiVersion: v1, kind: Secret, metadata: {{name: {name}}}}}\n"


def write(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    for name in names:
        (folder / name).write_text(SECRET.format(name=name.partition(".")[0]))


def names(*sources: Source, base: Path | None = None) -> list[str]:
    return [manifest.ref.name for manifest in load(sources, base=base)]


def test_a_folder_gives_its_own_manifests_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "b.yaml", "a.yml", "c.json", "d.txt")
    write(tmp_path / "below", "e.yaml")
    assert names(tmp_path) == ["a", "b", "c"]


def test_a_glob_gives_what_matches(tmp_path: Path) -> None:
    write(tmp_path / "x", "a.yaml")
    write(tmp_path / "y", "b.yaml", "c.txt")
    assert names("*/*.yaml", base=tmp_path) == ["a", "b"]
    assert names("**/b.yaml", base=tmp_path) == ["b"]
    assert names("[xy]", base=tmp_path) == ["a", "b"]


def test_a_file_that_two_sources_name_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "b.yaml")
    assert names("a.yaml", ".", base=tmp_path) == ["a", "b"]


def test_standard_input_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET.format(name="a")))
    (manifest,) = load(["-"])
    assert str(manifest.location) == "<stdin>:1"


def test_text_is_a_source() -> None:
    assert names("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n") == ["a"]


def test_json_on_one_line_is_text_however_long() -> None:
    assert names('{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}') == ["a"]
    assert names(
        '{"kind": "Secret", "apiVersion": "v1", "data": {"x": "%s"}, "metadata": {"name": "a"}}'
        % ("eHh4" * 99)
    ) == ["a"]


def test_a_name_that_no_file_can_have_is_an_error() -> None:
    with pytest.raises(ManifestError, match="no such file or folder"):
        names("x" * 5000)


def test_a_single_source_needs_no_list(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml")
    assert [manifest.ref.name for manifest in load(str(tmp_path))] == ["a"]


def test_a_file_is_shown_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "fixtures", "a.yaml")
    (tmp_path / "suites").mkdir()
    monkeypatch.chdir(tmp_path)
    (manifest,) = load(["../fixtures"], base=tmp_path / "suites")
    assert manifest.location.file == str(Path("fixtures", "a.yaml"))


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + SECRET.format(name="a").encode())
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("file", "content", "source", "message"),
    [
        ("a.yaml", "", "a.yaml", "a.yaml:1: no object in this file"),
        ("a.yaml", "# nothing\n---\n", "a.yaml", "no object in this file"),
        ("a.txt", "x", ".", "no *.yaml, *.yml or *.json in the folder"),
        ("kustomization.yaml", "resources: []", ".", "kustomize build"),
        ("Chart.yaml", "name: a", ".", "helm template"),
        ("Chart.yaml", "name: a", "Chart.yaml", "helm template"),
        ("a.yaml", "x", "b.yaml", "no such file or folder: b.yaml"),
        ("a.yaml", "x", "*.json", "no file matches *.json"),
    ],
)
def test_a_source_without_manifests_is_an_error(
    tmp_path: Path, file: str, content: str, source: str, message: str
) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(ManifestError) as caught:
        load([source], base=tmp_path)
    assert message in str(caught.value)


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ManifestError, match="not UTF-8"):
        load([tmp_path])


@pytest.mark.parametrize("text", ["", " ", "\n", "\n\n  \n", "# nothing\n"])
def test_an_empty_text_is_no_object_and_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    write(tmp_path, "a.yaml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ManifestError, match=r"^<text>:1: no object in this text; expected manifests"):
        load([text])


def test_mappings_and_lists_of_them_are_manifests() -> None:
    first, *others = ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}} for name in "abc")
    assert names(first, others) == ["a", "b", "c"]


def test_a_mistake_in_a_mapping_is_told_with_its_path() -> None:
    with pytest.raises(ManifestError, match=r"^<mapping>:1: metadata.name: missing"):
        names({"apiVersion": "v1", "kind": "Secret", "metadata": {}})


def test_what_is_no_source_is_told() -> None:
    with pytest.raises(
        ManifestError, match=r"5 is no manifest; expected a file, a folder, a glob, YAML or a"
    ):
        names(5)  # type: ignore[arg-type]  # that is the point
