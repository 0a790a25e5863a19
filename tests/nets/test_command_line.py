"""The command `lottery`: light help, sentences for bad input, the files it writes."""

import json
import re
import subprocess
import sys

import pytest
import safetensors.torch
import torch

import nets
from nets.command_line import COMMANDS, main

HEAVY = ("torch", "numpy", "matplotlib", "pandas", "scipy", "sklearn", "cvxpy", "numba")


STEPS = f"""
import contextlib, io, sys
def unloaded(after, *names):
    heavy = sorted({{*names}} & sys.modules.keys())
    assert not heavy, f"{{after}} imports {{heavy}}"
def help_of(*command):
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        main([*command, "--help"])
    return printed.getvalue()
import nets
dir(nets)
unloaded("nets", *{HEAVY!r})
from nets.command_line import main
unloaded("the command, which hears Ctrl-C from the first moment", "cyclopts", "rich")
assert "compare" in help_of()
unloaded("help", *{HEAVY!r})
for command in ("play", "compare", "methods"):
    assert "Usage" in help_of(command)
    unloaded(f"help of {{command}}", "torch")
nets.find_ticket, nets.compare
unloaded("the torch side", "cvxpy", "numba")
nets.play(nets.Play(method="concave", density=0.1, epochs=1))
unloaded("a training", "torch._dynamo", "sklearn", "pandas", "cvxpy")
"""


def test_what_is_not_needed_yet_is_not_imported():
    """One process, from what imports least to what imports most."""
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_command_has_a_summary(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    commands = dict(
        found
        for path in COMMANDS.glob("[a-z]*.py")
        for found in re.findall(r'^def ([a-z]\w*)\(.*?"""(.*?)$', path.read_text(), re.M | re.S)
    )
    assert {"play", "compare", "sweep", "report", "query", "methods", "data", "export"} <= commands.keys()
    for name, summary in commands.items():
        assert name.replace("_", "-") in printed
        assert summary.strip()


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip().startswith("0.")


def test_methods_lists_all_and_shows_one(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for arguments, words in (
        [["methods"], ("concave", "imp", "random")],
        [["methods", "imp"], ("keep", "0.8")],
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert not stop.value.code
        printed = capsys.readouterr().out
        assert all(word in printed for word in words)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["play", "--epochs", "1.5"], "--epochs takes a whole number, got 1.5"),
        (["sweep", "x.toml", "--workers", "0.5"], "--workers takes a whole number, got 0.5"),
        (["play", "--save", "t.pt"], "t.pt is written as safetensors: name it t.safetensors"),
        (["play", "--save-network", "net.bin"], "net.bin is written as safetensors: name it net.safetensors"),
    ],
)
def test_what_would_be_rounded_or_misnamed_is_refused(arguments, told, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 1
    assert told in capsys.readouterr().err


def test_play_writes_the_ticket(capsys, tmp_path):
    import nets

    path = tmp_path / "t.safetensors"
    with pytest.raises(SystemExit) as stop:
        main(["play", "--epochs", "2", "--density", "0.1", "--option", "descent=0.4", "--save", str(path)])
    assert not stop.value.code
    printed = capsys.readouterr().out
    assert "ticket of 5,020 of 50,200 weights (10%)" in printed
    assert "test accuracy" in printed
    ticket = nets.Ticket.load(path)
    assert ticket.kept == 5020
    assert ticket.metadata["options"]["descent"] == 0.4


def test_play_of_a_given_lam_says_the_density_reached(capsys, tmp_path):
    import nets

    path = tmp_path / "t.safetensors"
    with pytest.raises(SystemExit) as stop:
        main(["play", "--epochs", "2", "--method", "concave", "--option", "lam=1e-4", "--save", str(path)])
    assert not stop.value.code
    printed = capsys.readouterr().out
    ticket = nets.Ticket.load(path)
    assert f"ticket of {ticket.kept:,} of 50,200 weights ({100 * ticket.density:.3g}%)" in printed
    assert "lam was given, 0.0001: the density is what the relaxed mask reached" in printed


def test_compare_ends_with_table_and_picture(capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        main(
            [
                *("compare", "--epochs", "1", "--seeds", "1", "--workers", "1", "--out", str(tmp_path)),
                *("--methods", "dense", "random", "magnitude", "--densities", "0.5", "0.1"),
                *("--against", "random"),
            ]
        )
    assert not stop.value.code
    printed = capsys.readouterr().out
    assert "paired differences to random" in printed
    picture = tmp_path / "compare-digits-lenet-300-100.png"
    assert str(picture) in printed.replace("\n", "")
    assert picture.stat().st_size > 10_000
    content = json.loads(picture.with_suffix(".json").read_text())
    assert len(content["results"]) == 5
    assert content["command"] == (
        "lottery compare --epochs 1 --methods dense random magnitude --densities 0.5 0.1 --seeds 1"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["play", "--method", "concav"], "unknown method 'concav'"),
        (["play", "--data", "mnits"], "unknown data set 'mnits'"),
        (["play", "--option", "descent"], "an option is written name=value"),
        (["play", "--option", "nothing=1"], "method concave has no option 'nothing'"),
        (["play", "--penalty", "lgo(1)"], "unknown penalty 'lgo'"),
        (["compare", "--methods", "imp", "foo"], "unknown method 'foo'"),
        (["methods", "foo"], "unknown method 'foo'"),
        (["compare", "--against", "l2"], "against must be one of the methods: concave, l1, imp, random, got"),
        (["compare", "--out", __file__], "out must be a folder, got"),
        (["compare", "--seeds", "0"], "seeds must be at least 1, got 0"),
        (["compare", "--option", "keep=0.5"], "is written METHOD.NAME=VALUE, got 'keep=0.5'"),
        (["compare", "--methods", "imp", "--option", "imp.kepp=1"], "has no option 'kepp'"),
        (["play", "--device", "gpu"], "device 'gpu' is none"),
        (["play", "--task", "regresion"], "unknown task 'regresion'"),
    ],
)
def test_bad_input_is_one_sentence(capsys, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_the_command_stored_says_every_setting_that_is_not_usual():
    from nets.analysis.comparison import DENSITIES, METHODS, SEEDS
    from nets.commands.compare import _command
    from nets.configuration import Play

    play = Play(data="mnist", weight_decay=5e-4, penalty="mcp(2)", nesterov=True, data_dir="/somewhere")
    assert _command(play, METHODS, DENSITIES, SEEDS) == (
        "lottery compare --data mnist --nesterov --weight-decay 0.0005 --penalty 'mcp(2)'"
    )


def test_the_trained_network_is_saved(tmp_path, capsys):
    few = ["--epochs", "1", "--method", "magnitude", "--density", "0.2"]
    run(*few, "--save-network", str(tmp_path / "n.safetensors"), "--save", str(tmp_path / "t.safetensors"))
    state = safetensors.torch.load_file(tmp_path / "n.safetensors")
    ticket = nets.Ticket.load(tmp_path / "t.safetensors")
    model = ticket.apply(nets.models.build("lenet-300-100", (1, 8, 8), 10))
    rewound = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    for name, mask in ticket.masks.items():
        assert not state[name][~mask].any()
        assert not torch.equal(state[name], rewound[name])
    again = tmp_path / "again.safetensors"
    run(*few, "--runs", str(tmp_path / "runs"), "--save-network", str(again))
    stored = safetensors.torch.load_file(again)
    assert all(torch.equal(stored[name], value) for name, value in state.items())


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["play", *arguments])
    assert not ended.value.code


def test_several_values_may_be_apart_by_commas(capsys, tmp_path):
    compare = ["compare", "--methods", "magnitude,random", "--densities", "0.5,0.2", "--seeds", "1"]
    with pytest.raises(SystemExit) as ended:
        main(
            [
                *compare,
                "--epochs",
                "1",
                "--workers",
                "1",
                "--out",
                str(tmp_path),
                "--option",
                "random.distribution=erk",
            ]
        )
    assert not ended.value.code
    table = json.loads((tmp_path / "compare-digits-lenet-300-100.json").read_text())
    assert "--option random.distribution=erk" in table["command"]
    assert {(row["method"], row["density"]) for row in table["table"]} == {
        ("magnitude", 0.5),
        ("magnitude", 0.2),
        ("random", 0.5),
        ("random", 0.2),
    }
