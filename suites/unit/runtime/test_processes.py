from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Action, Command, Part, Role
from meshtest.waiting import wait_until

SERVER = """
import os, socket, sys, time
listener = socket.create_server(("127.0.0.1", 8000))
print("listening in", os.getcwd(), os.environ["COLOUR"], os.environ["SIZE"], flush=True)
if os.fork() == 0:
    time.sleep(60)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"here\\n")
    connection.close()
"""


def server(bench: Any, **fields: Any) -> Any:
    command = Command(argv=(sys.executable, "-c", SERVER), env={"COLOUR": "red"})
    return bench.pod("a", 2, application=command, env={"SIZE": "xl"}, readiness_ports=(8000,), **fields)


def test_a_command_runs_in_its_pod_and_is_ready_when_its_port_accepts(bench: Any) -> None:
    sandbox = bench.start(server(bench))
    assert bench.call("127.0.0.1", 8000) == "here"
    assert sandbox.logs("default/a", Part.APPLICATION) == f"listening in {Path.cwd()} red xl\n"


def test_of_a_programs_log_enough_is_kept_to_count_in_it(bench: Any) -> None:
    told = "for number in range(20_000): print(f'{number:05} answered one request', flush=number % 500 == 0)"
    talker = Command(
        argv=(sys.executable, "-c", f"{told}\nimport time; print('done', flush=True); time.sleep(60)")
    )
    sandbox = bench.start(bench.pod("a", 2, application=talker))

    def lines() -> list[str]:
        return str(sandbox.logs("default/a", Part.APPLICATION)).splitlines()

    wait_until(lambda: lines()[-1:] == ["done"], 20, lambda: str(lines()[-3:]))
    assert [int(line[:5]) for line in lines()[:-1]] == [*range(20_000)]


def test_a_command_that_listens_on_its_pod_address_only_is_ready_too(bench: Any) -> None:
    program = SERVER.replace('"127.0.0.1"', '"10.244.0.2"')
    command = Command(argv=(sys.executable, "-c", program), env={"COLOUR": "red", "SIZE": "xl"})
    bench.start(bench.pod("a", 2, application=command, readiness_ports=(8000,)))
    assert bench.call("10.244.0.2", 8000) == "here"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ("sh", "-c", "echo no such table >&2; exit 3"),
            r"default/a application exited with status 3.*\n.*no such table",
        ),
        (("/nowhere/app",), r"(?s)status 127.*cannot run '/nowhere/app': No such file"),
        (("sh", "-c", "kill -9 $$"), r"default/a application was ended by SIGKILL, and wrote nothing"),
    ],
    ids=["exit", "not found", "signal"],
)
def test_a_command_that_ends_before_it_is_ready_is_an_error_with_its_last_lines(
    bench: Any, argv: tuple[str, ...], words: str
) -> None:
    with pytest.raises(RuntimeFailure, match=words):
        bench.start(bench.pod("a", 2, application=Command(argv=argv), readiness_ports=(8000,)))


def test_a_role_that_raises_is_an_error_with_its_traceback(bench: Any) -> None:
    with pytest.raises(
        RuntimeFailure, match=r"(?s)default/a application exited with status 1.*KeyError: 'port'"
    ):
        bench.start(bench.pod("a", 2, application=Role(target="netns_roles:echo")))


def test_a_control_plane_that_ends_is_an_error(bench: Any) -> None:
    role = Role(target="netns_roles:failing_control_plane")
    with pytest.raises(
        RuntimeFailure, match=r"meshtest/control-plane exited with status 3.*\nno certificate"
    ):
        bench.start(bench.pod("a", 2), control_plane=role)


def test_a_program_that_does_not_listen_is_told_with_its_ports(bench: Any) -> None:
    pod = bench.pod("a", 2, application=Command(argv=("/bin/sleep", "60")), readiness_ports=(8001, 8000))
    sandbox = bench.runtime.start(bench.plan(pod), lambda *_: None)
    bench.started.append(sandbox)
    words = (
        r"default/a application is running and listens on none of its ports: 8000, 8001, and wrote nothing$"
    )
    with pytest.raises(RuntimeFailure, match=words):
        sandbox.ready(1.0)


def test_a_timeout_says_who_is_not_ready(bench: Any) -> None:
    pod = bench.pod("a", 2, application=Role(target="netns_roles:never_ready"))
    sandbox = bench.runtime.start(bench.plan(pod, bench.pod("b", 3)), lambda *_: None)
    bench.started.append(sandbox)
    words = (
        r"within 1 s\nnot ready:\ndefault/a application is running; its last lines:\nwaiting for a database$"
    )
    with pytest.raises(RuntimeFailure, match=words):
        sandbox.ready(1.0)


@pytest.mark.parametrize("action", [Action.KILL, Action.STOP])
def test_a_killed_application_is_gone_with_its_children_and_can_be_started_again(
    bench: Any, action: Action
) -> None:
    sandbox = bench.start(server(bench), bench.pod("b", 3))
    sandbox.signal("default/a", Part.APPLICATION, action)
    assert bench.call("127.0.0.1", 8000) == "ConnectionRefusedError"
    assert "sleep" not in sandbox.execute("default/a", ["ps", "axo", "args"], timeout=5).stdout
    assert bench.call("127.0.0.1", 9080, pod="default/b") == "b 127.0.0.1"
    sandbox.signal("default/a", Part.APPLICATION, Action.START)
    assert bench.call("127.0.0.1", 8000) == "here"
    assert sandbox.ended_processes == []


def test_a_paused_application_answers_only_after_it_is_resumed(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2))
    sandbox.signal("default/a", Part.APPLICATION, Action.PAUSE)
    assert bench.call("10.244.0.2") == "TimeoutError"
    sandbox.signal("default/a", Part.APPLICATION, Action.RESUME)
    assert bench.call("10.244.0.2") == "a 10.244.0.2"


def test_a_paused_application_can_be_stopped(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2))
    sandbox.signal("default/a", Part.APPLICATION, Action.PAUSE)
    began = time.monotonic()
    sandbox.signal("default/a", Part.APPLICATION, Action.STOP)
    assert time.monotonic() - began < 3.0


def test_starting_what_runs_is_refused(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2))
    with pytest.raises(RuntimeFailure, match="default/a application is running"):
        sandbox.signal("default/a", Part.APPLICATION, Action.START)


@pytest.mark.parametrize(
    ("pod", "part", "words"),
    [
        ("default/z", Part.SIDECAR, "there is no pod default/z"),
        ("default/a", Part.SIDECAR, "default/a has no sidecar"),
    ],
)
def test_what_is_not_there_is_an_error(bench: Any, pod: str, part: Part, words: str) -> None:
    sandbox = bench.start(bench.pod("a", 2))
    with pytest.raises(RuntimeFailure, match=words):
        sandbox.signal(pod, part, Action.KILL)


def test_the_control_plane_can_be_killed_and_started_again_on_the_same_channel(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2), control_plane=Role(target="netns_roles:control_plane_again"))
    first = sandbox.control_plane.call("ping", timeout=5).header["pong"]
    sandbox.signal("meshtest/control-plane", Part.APPLICATION, Action.KILL)
    sandbox.signal("meshtest/control-plane", Part.APPLICATION, Action.START)
    assert sandbox.control_plane.call("ping", timeout=5).header["pong"] != first


def test_the_end_of_the_control_plane_ends_its_channel(bench: Any, family_of: Any) -> None:
    before = set(family_of().members)
    sandbox = bench.start(bench.pod("a", 2))
    family = family_of()
    family.members -= before
    os.kill(family.named("control-plane"), signal.SIGKILL)
    with pytest.raises(RuntimeFailure):
        sandbox.control_plane.call("ping", timeout=5)


def test_a_killed_child_does_not_hurt_the_others(bench: Any, family_of: Any) -> None:
    before = set(family_of().members)
    sandbox = bench.start(bench.pod("app", 2), bench.pod("a", 3))
    family = family_of()
    family.members -= before
    os.kill(family.named("app"), signal.SIGKILL)
    assert bench.call("10.244.0.3") == "a 10.244.0.3"
    wait_until(lambda: sandbox.ended_processes, 5.0, lambda: "no report of the end")
    assert sandbox.ended_processes[0].startswith("default/app application was ended by SIGKILL")


def test_programs_run_inside_a_pod(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2))
    found = sandbox.execute(
        "default/a", ["sh", "-c", "hostname; cat /etc/hostname; echo oops >&2; exit 5"], timeout=5
    )
    assert (found.returncode, found.stdout, found.stderr) == (5, "a\na\n", "oops\n")
    hosts = sandbox.execute("default/a", ["cat", "/etc/hosts"], timeout=5).stdout
    assert "10.244.0.2 a\n" in hosts
    assert (
        len(sandbox.execute("default/a", ["head", "-c", "1000000", "/dev/zero"], timeout=5).stdout)
        == 1_000_000
    )


def test_a_program_that_does_not_end_in_time_is_an_error(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2))
    with pytest.raises(RuntimeFailure, match=r"default/a: sleep 60 did not end within 0.2 s"):
        sandbox.execute("default/a", ["sleep", "60"], timeout=0.2)


def test_pods_come_and_go(bench: Any) -> None:
    sandbox = bench.start(bench.pod("a", 2), network=bench.services(new=[4]))
    sandbox.add_pods([bench.pod("b", 3), bench.pod("c", 4)], 10.0)
    assert bench.call("10.244.0.3") == "b 10.244.0.2"
    assert bench.call("10.96.1.1", 80, pod="default/c") == "c 172.18.0.1"
    sandbox.remove_pods(["default/b"])
    assert bench.call("10.244.0.3") == "ConnectionRefusedError"
    assert bench.ask("ls", path="/run/meshtest/netns")["names"] == ["default_a", "default_c"]
    sandbox.add_pods([bench.pod("b", 3)], 10.0)
    assert bench.call("10.244.0.3") == "b 10.244.0.2"
    assert sandbox.ended_processes == []
