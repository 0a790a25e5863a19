"""Rows in a file that a kill may have cut off anywhere: no whole one is lost, others are made anew."""

from benchmarks import seed_rows


def test_whatever_was_cut_off_no_whole_row_is_lost(tmp_path):
    path = tmp_path / "sub" / "rows.jsonl"
    first, second, third = ({"seed": seed, "name": "Größe\n"} for seed in range(3))
    seed_rows.append(path, first)
    seed_rows.append(path, second)
    whole = path.read_bytes()
    begins = whole.index(b"\n") + 1
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        kept = seed_rows.stored(path)
        assert kept == [first, second][: (end >= begins - 1) + (end >= len(whole) - 1)]
        seed_rows.append(path, third)
        assert seed_rows.stored(path) == [*kept, third]


def test_only_missing_rows_are_computed(tmp_path):
    path, made = tmp_path / "rows.jsonl", []

    def compute(key):
        made.append(key["seed"])
        return {"value": 2 * key["seed"]}

    seed_rows.run(path, [{"seed": 1}], compute)
    seed_rows.run(path, [{"seed": 0}, {"seed": 1}, {"seed": 2}], compute)
    assert made == [1, 0, 2]
    assert [row["value"] for row in seed_rows.stored(path)] == [2, 0, 4]
