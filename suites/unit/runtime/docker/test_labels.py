from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from meshtest.runtime.docker import labels
from meshtest.runtime.docker.labels import Owner, Run


def test_an_owner_reads_back_as_it_was_written() -> None:
    owner = Owner.current()
    assert Owner.parse(str(owner)) == owner


def test_the_process_itself_is_alive() -> None:
    assert not Owner.current().dead()


def test_a_process_that_has_ended_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        owner = replace(Owner.current(), pid=child.pid, started=labels.start_time(child.pid))
        assert not owner.dead()
        child.kill()
    assert owner.dead()


def test_a_number_that_another_process_has_by_now_is_no_sign_of_life() -> None:
    assert replace(Owner.current(), started="1").dead()


def test_who_started_before_the_last_boot_is_dead() -> None:
    assert replace(Owner.current(), boot="another").dead()


@pytest.mark.parametrize("field", ["machine", "space"])
def test_of_processes_elsewhere_nothing_is_known(field: str) -> None:
    elsewhere = replace(Owner.current(), pid=os.getpid() + 1, started="1")
    given: dict[str, Any] = {field: "elsewhere"}
    assert not replace(elsewhere, **given).dead()


@pytest.mark.parametrize("text", ["", "one", "a b c d e", "a b c 1"])
def test_labels_of_others_are_nobodys(text: str) -> None:
    assert Owner.parse(text) is None


def test_every_run_has_a_name_of_its_own() -> None:
    assert Run.new().name != Run.new().name
