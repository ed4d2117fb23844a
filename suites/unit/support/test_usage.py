from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ci.support.usage import manifests, parts

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = "apiVersion: v1\nkind: Service\nspec: {type: NodePort}\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", f"---\n{SERVICE}---\n- not an object\n"),
        ("a.yaml", "kind: List\nitems:\n- {kind: Service, spec: {type: NodePort}}\n"),
        ("a.py", f'def f():\n    return """\n{SERVICE}"""\n'),
        ("a.py", 'A = f"kind: Service\\nmetadata: {{name: {name}}}\\nspec: {{type: NodePort}}"'),
        (
            "a.py",
            'A = "kind: Service\\nmetadata: {{name: {name}}}\\nspec: {{type: NodePort}}".format(name=1)',
        ),
        ("a.py", 'A = "kind: Service\\nmetadata: {name: %s}\\nspec: {type: NodePort}" % 1'),
        ("a.py", 'A = "kind: Service\\nspec: {WORD}"\nB = "type: NodePort"\nC = A.replace("WORD", B)'),
        ("a.py", 'A = {"kind": "Service", "metadata": {"name": name}, "spec": {"type": "NodePort"}}'),
    ],
)
def test_objects_are_found_in_whatever_way_they_are_written(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert "NodePort" in [found.get("spec", {}).get("type") for found in manifests(path)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "kind: Scenario\nspec: {meshConfig: {enableTracing: true}}\n"),
        ("a.py", 'replace(mesh_config="enableTracing: true")'),
        ("a.py", 'CONFIG = {"enableTracing": True}\nreplace(mesh_config=CONFIG)'),
    ],
)
def test_mesh_config_is_found(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert {"kind": "MeshConfig", "enableTracing": True} in list(manifests(path))


@pytest.mark.parametrize(
    "code", ["def f(a):\n    a = a.replace('b', 'c')", "a.replace(b, c)", "a.replace('b', 1)"]
)
def test_texts_that_only_running_tells_are_left_open(tmp_path: Path, code: str) -> None:
    path = tmp_path / "a.py"
    path.write_text(f"{code}\n")
    assert list(manifests(path)) == []


@pytest.mark.parametrize(
    "text", ['f({"hosts": ["a"]})', 'f("hosts: [a]")', 'f("{hosts: [a]}")', 'f("- hosts: [a]")']
)
def test_parts_of_objects_are_found(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.py"
    path.write_text(text)
    assert {"hosts": ["a"]} in list(parts(path))
