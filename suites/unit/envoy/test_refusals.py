from __future__ import annotations

import json

from meshtest.envoy.refusals import Refusal, listener_failures, readable, summary

QUOTED = 'Error updating l: goo.gle/debugstr   \nname: "x"\nfoo {\n}\n: Proto constraint failed (A.B: c)\n'


def test_leaves_the_reason_and_not_the_configuration() -> None:
    assert readable(QUOTED) == "Error updating l: Proto constraint failed (A.B: c)"


def test_says_so_when_the_reason_was_cut_off() -> None:
    refusal = Refusal(pod="a/b", kind="LDS", names=("l",), said=QUOTED[:45] + "...(truncated)")
    assert refusal.cut_off
    assert (
        str(refusal) == "a/b refused LDS [l]: Error updating l: (Envoy's reason was cut off; its log has it)"
    )


def test_other_words_stay() -> None:
    assert readable("unknown cluster 'x'") == "unknown cluster 'x'"


def test_admin_interface_keeps_whole_reasons() -> None:
    dump = {"configs": [{"name": "good"}, {"name": "bad", "error_state": {"details": "why"}}]}
    assert listener_failures(json.dumps(dump).encode()) == "bad: why"


def test_one_reason_is_told_once() -> None:
    names = tuple("abcde")
    refusals = [
        Refusal(pod=pod, kind="CDS", names=names, said="no") for pod in ("n/a", "n/b", "n/c", "n/d", "n/e")
    ]
    others = Refusal(pod="n/a", kind="LDS", names=("l",), said="other")
    first, second = summary([*refusals, others]).splitlines()
    assert first == "n/a refused CDS [a, b, c, 2 more]: no (and so did n/b, n/c, n/d, 1 more)"
    assert second == "n/a refused LDS [l]: other"
