"""Seeds of streams: fixed for ever, different by purpose."""

from nets.seeds import derive


def test_pinned():
    assert derive(0, "retrain") == 4424754488611150241
    assert derive(3, "search", 2) == 5033064245725803850


def test_streams_differ():
    seeds = {derive(s, *p) for s in range(5) for p in [("a",), ("b",), ("a", 1), ("a", "b")]}
    assert len(seeds) == 20
    assert all(0 <= s < 2**63 for s in seeds)
