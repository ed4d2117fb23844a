from __future__ import annotations

import pytest

from meshtest.mesh.names import file_name, port_problem

SOCKETS = "/run/meshtest/{}.access"


def test_the_files_of_a_pod_bear_its_name() -> None:
    assert file_name("default/web-0") == "default_web-0"


def test_long_names_leave_room_for_the_path_of_a_socket_and_stay_apart() -> None:
    namespace = "n" * 63
    names = {file_name(f"{namespace}/{'w' * 250}{last}") for last in "ab"}
    assert len(names) == 2
    assert all(len(SOCKETS.format(name)) < 108 for name in names)


@pytest.mark.parametrize("name", ["http", "a", "http-web-2", "8-a", "a" * 15])
def test_names_of_ports(name: str) -> None:
    assert port_problem(name) is None


@pytest.mark.parametrize("name", ["HTTP", "80", "a--b", "-a", "a-", "a_b", "a" * 16, "a.b"])
def test_what_cannot_name_a_port(name: str) -> None:
    assert port_problem(name) == (
        f"{name!r} cannot name a port (lower-case letters, digits and '-', at most 15)"
    )
