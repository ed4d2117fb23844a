from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshtest.envoy.marks import FaultMark, baggage_member, parse_baggage, parse_member

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=10)
KEYS = st.builds("{}/{}".format, NAMES, NAMES)
MARKS = st.builds(
    FaultMark,
    id=st.text("abcXYZ019-_.", min_size=1),
    targets=st.lists(KEYS, min_size=1, max_size=3).map(tuple),
    sources=st.lists(
        st.one_of(KEYS, st.builds("10.0.0.{}={}".format, st.integers(1, 9), KEYS)), max_size=2
    ).map(tuple),
    attempts=st.lists(st.integers(1, 9), max_size=3).map(tuple),
    method=st.sampled_from(["", "GET", "POST"]),
    path=st.one_of(
        st.just(""), st.text(max_size=20).map("=/{}".format), st.text(max_size=20).map("^/{}".format)
    ),
    actions=st.lists(st.sampled_from(["abort:503", "grpc:14", "delay:10", "rate:1"]), max_size=4).map(tuple),
)


@given(MARKS)
def test_marks_survive_the_header(mark: FaultMark) -> None:
    member = baggage_member(mark)
    assert parse_member(member) == mark
    assert member.isascii()
    assert not set(member) & set(' ,;"\\')


def test_the_contract() -> None:
    mark = FaultMark(
        id="f1", targets=("ns/a", "ns/b-0"), attempts=(1, 2), path="^/x", actions=("abort:503", "delay:5")
    )
    plain = "ns/a+ns/b-0||1+2||^/x|abort:503&delay:5"
    assert baggage_member(mark).startswith("mtf.f1=ns%2Fa%2Bns%2Fb-0%7C%7C1")
    assert parse_member(f"mtf.f1={plain}") == mark


def test_other_members_are_left_alone() -> None:
    mark = FaultMark(id="f", actions=("abort:503",))
    assert parse_baggage(f"meshtest=1, user=x;p=1 ,{baggage_member(mark)}") == (mark,)
