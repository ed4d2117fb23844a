from __future__ import annotations

import struct
import time
from typing import Any

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.runtime.base import Capability
from meshtest.runtime.netns import delaying

A, B = "10.244.0.2", "10.244.0.3"


def little(text: str) -> bytes:
    """The bytes that a test writes down are those of a little-endian machine."""
    if struct.pack("=H", 1) != b"\1\0":
        pytest.skip("a big-endian machine")
    return bytes.fromhex(text)


def test_a_delay_is_what_the_kernel_expects_byte_by_byte() -> None:
    assert (
        delaying.queue(2, 0.05, 0.005).encode(7)
        == little(
            "64000000 2400 0106 07000000 00000000"  # length, RTM_NEWQDISC, REQUEST, EXCL and CREATE, sequence, port
            "00000000 02000000 00000000 ffffffff 00000000"  # tcmsg: family, eth0, handle, TC_H_ROOT, info
            "0a00 0100 6e6574656d00 0000"  # TCA_KIND "netem", padded
            "34000200"  # TCA_OPTIONS: tc_netem_qopt, then attributes
            "00000000 a0860100 00000000 00000000 00000000 00000000"  # latency, limit, loss, gap, duplicate, jitter
            "0c00 0a00 80f0fa0200000000"  # TCA_NETEM_LATENCY64: 50,000,000 ns
            "0c00 0b00 404b4c0000000000"  # TCA_NETEM_JITTER64: 5,000,000 ns
        )
    )


def test_its_removal_names_the_root_of_the_device() -> None:
    assert delaying.removal(18).encode(0) == little(
        "24000000 2500 0100 00000000 00000000 00000000 12000000 00000000 ffffffff 00000000"
    )


def test_packets_are_read_from_the_statistics_of_the_right_device() -> None:
    told = little(
        "00000000 02000000 01800000 ffffffff 02000000"  # tcmsg: eth0
        "0a00 0100 6e6574656d00 0000"
        "1800 0700 1400 0100 e803000000000000 0c00000000000000"  # TCA_STATS2, basic: 1,000 bytes, 12 packets
    )
    assert delaying.packets(told, 2) == 12
    assert delaying.packets(told, 3) == 0
    assert delaying.packets(told.replace(b"netem", b"other"), 2) == 0


def test_the_queues_of_a_kernel_can_be_listed() -> None:
    assert delaying.held_up(1) == 0


def test_packets_come_late_each_way_and_at_once_afterwards(bench: Any, runtime: Any) -> None:
    if Capability.NETEM not in runtime.capabilities():
        pytest.skip("this kernel has no netem")
    sandbox = bench.start(bench.pod("a", 2), bench.pod("b", 3))
    sandbox.delay("x", [B], 0.1, 0.0)
    began = time.monotonic()
    assert bench.call(B) == f"b {A}"
    assert time.monotonic() - began >= 0.4  # the handshake's round trip, and the answer's
    assert sandbox.undelay("x") >= 4
    began = time.monotonic()
    assert bench.call(B) == f"b {A}"
    assert time.monotonic() - began < 0.2


def test_where_the_kernel_has_no_netem_nothing_is_left_of_the_attempt(bench: Any, runtime: Any) -> None:
    if Capability.NETEM in runtime.capabilities():
        pytest.skip("this kernel has netem")
    sandbox = bench.start(bench.pod("a", 2), bench.pod("b", 3))
    with pytest.raises(RuntimeFailure, match="netlink refused netem"):
        sandbox.delay("x", [B], 0.1, 0.0)
    assert sandbox.undelay("x") == 0
    assert bench.call(B) == f"b {A}"
