from __future__ import annotations

from meshtest.mesh.names import file_name

SOCKETS = "/run/meshtest/{}.access"


def test_the_files_of_a_pod_bear_its_name() -> None:
    assert file_name("default/web-0") == "default_web-0"


def test_long_names_leave_room_for_the_path_of_a_socket_and_stay_apart() -> None:
    namespace = "n" * 63
    names = {file_name(f"{namespace}/{'w' * 250}{last}") for last in "ab"}
    assert len(names) == 2
    assert all(len(SOCKETS.format(name)) < 108 for name in names)
