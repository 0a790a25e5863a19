import pytest

from nets import Play
from nets.runs.canonical import settled
from nets.runs.sweep import plays_of, read_sweep


def write(tmp_path, text):
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    return path


def test_every_list_is_an_axis(tmp_path):
    plays = read_sweep(
        write(tmp_path, 'epochs = 3\nmethod = ["imp", "random"]\ndensity = [0.2, 0.1, 0.05]\nseed = "0..3"\n')
    )
    assert len(plays) == 2 * 3 * 4
    assert {(p.method, p.density, p.seed) for p in plays} == {
        (m, d, s) for m in ("imp", "random") for d in (0.2, 0.1, 0.05) for s in range(4)
    }
    assert all(play.epochs == 3 for play in plays)


def test_further_grids_options_and_what_is_asked_for_twice(tmp_path):
    text = """
        epochs = 2
        method = ["concave", "imp"]
        seed = [0, 1]

        [[also]]
        method = "concave"
        penalty = ["log(0.02)", "mcp(2)"]

        [[also]]
        method = "concave"
        seed = 0
        [also.options]
        interval = [5, 20]
        descent = 0.4
        """
    plays = read_sweep(write(tmp_path, text))
    assert len(plays) == 4 + 2 + 2  # two of the second grid and none of the third are there already
    assert settled(Play(epochs=2, penalty="mcp(2)", seed=1)) in plays
    assert settled(Play(epochs=2, options={"interval": 5, "descent": 0.4})) in plays


def test_a_penalty_axis_does_not_repeat_methods_that_take_none():
    plays = plays_of({"method": ["concave", "imp"], "penalty": ["log(0.02)", "mcp(2)", "l1"]})
    assert [play.method for play in plays].count("imp") == 1
    assert [play.method for play in plays].count("concave") == 3


def test_fields_that_are_lists():
    (play,) = plays_of({"schedule": "step", "milestones": [0.5, 0.75]})
    assert play.milestones == (0.5, 0.75)
    plays = plays_of({"include": [["1.weight"], ["3.weight", "5.weight"]]})
    assert [play.include for play in plays] == [("1.weight",), ("3.weight", "5.weight")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("densty = 0.1", "did you mean 'density'"),
        ("density = 'small'", "density must be a number"),
        ("density = [0.1, 2]", r"density must be in \(0, 1\]"),
        ("seed = []", "leaves nothing to run"),
        ("seed = '5..2'", "empty range"),
        ("seed = '0...3'", r"no range of whole numbers; one is written \"0..3\", both included"),
        ("method = 'impp'", "unknown method 'impp'"),
        ("penalty = 'log(0)'", "eps"),
        ("epochs = 1.5", "epochs must be a whole number"),
        ("[options]\nkeeep = 0.5", "no option 'keeep'"),
        ("options = 3", "as a table"),
        ("[also]\nseed = 1", r"\[\[also\]\]"),
        ("seed = '0..2000000'", "has 2,000,001 values; 1,000,000 are the most"),
        ("seed = '0..99999999999999'", "100,000,000,000,000 values"),  # as a list it would fill the memory
        ("seed = '0..999999'\nlr = [0.1, 0.2]", "2,000,000 runs; 1,000,000 are the most"),
        ("seed = ", "is not TOML"),
        ("seed = 1979-05-27", "seed must be a whole number"),
    ],
)
def test_slips_are_named(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=words) as caught:
        read_sweep(path)
    assert str(path) in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no sweep file"):
        read_sweep(tmp_path / "none.toml")
