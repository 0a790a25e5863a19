import base64
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from concave_sparsity import MCP, Log
from convex_analysis import MaskProblem, RegressionProblem, majorize_minimize
from convex_analysis.command_line import main

NAMES = [f"gene{j}" for j in range(12)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 12))
    mask = np.zeros(12)
    mask[[1, 4, 9]] = 1.0
    y = X @ mask + 0.1 * rng.standard_normal(60)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    np.save(tmp_path / "mask.npy", mask)
    np.save(tmp_path / "labels.npy", np.where(y > 0, 1.0, -1.0))
    table = np.column_stack((X, y))
    header = ",".join([*NAMES, "rate"])
    np.savetxt(tmp_path / "table.csv", table, delimiter=",", header=header, comments="")
    return tmp_path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def report(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def test_solve_is_the_solver_on_the_files(folder, capsys) -> None:
    data = ("--x", folder / "X.npy", "--y", folder / "y.npy")
    assert run("solve", *data, "--penalty", "log", "--eps", 0.2, "--lam", 0.05, "--json", "-") == 0
    told = report(capsys)
    X, y = np.load(folder / "X.npy"), np.load(folder / "y.npy")
    found = majorize_minimize(RegressionProblem(X, y, penalty=Log(0.2), lam=0.05, fit_intercept=True))
    assert told["objective"] == pytest.approx(found.objective, rel=1e-9)
    assert told["status"] == "CONVERGED"
    assert told["lam"] == 0.05
    assert told["lam_chosen_by"] is None
    assert {one["index"] for one in told["support"]} == set(found.support.tolist())


def test_options_of_the_model(folder, capsys) -> None:
    data = ("--x", folder / "X.npy", "--y", folder / "labels.npy", "--loss", "logistic")
    options = (
        "--penalty",
        "mcp",
        "--gamma",
        2,
        "--lam",
        0.05,
        "--upper",
        0.5,
        "--fit-intercept",
        "--json",
        "-",
    )
    assert run("solve", *data, *options) == 0
    told = report(capsys)
    assert told["penalty"] == repr(MCP(2.0))
    assert max(one["coefficient"] for one in told["support"]) <= 0.5
    assert told["intercept"] != 0.0


OWN = """
from concave_sparsity import MCP, Penalty

class Root(Penalty):
    def __init__(self, shift=0.5): self.shift = shift
    def __repr__(self): return f"Root({self.shift:g})"
    def _root(self, t): return (t + self.shift**2) ** 0.5
    def value(self, t): return (self._root(t) - self.shift) / (self._root(1.0) - self.shift)
    def derivative(self, t): return 0.5 / self._root(t) / (self._root(1.0) - self.shift)

WIDE = MCP(9.0)

def with_gamma(gamma=2.0): return MCP(gamma)
"""


@pytest.mark.parametrize(
    ("penalty", "more", "shown"),
    [
        ("our_penalty:Root", (), "Root(0.5)"),
        ("our_penalty:WIDE", (), "MCP(gamma=9.0)"),
        ("our_penalty:with_gamma", ("--gamma", 4), "MCP(gamma=4.0)"),
        ("log(0.2)", (), "Log(eps=0.2)"),
    ],
)
def test_penalties_have_the_names_that_lottery_takes(
    folder, capsys, monkeypatch, penalty, more, shown
) -> None:
    (folder / "our_penalty.py").write_text(OWN)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "our_penalty", raising=False)
    data = ("--x", "X.npy", "--y", "y.npy", "--lam", 0.05)
    assert run("solve", *data, "--penalty", penalty, *more, "--json", "-") == 0
    told = report(capsys)
    assert told["penalty"] == shown
    assert {1, 4, 9} <= {one["index"] for one in told["support"]}


def test_auto_lam_finds_the_support(folder, capsys) -> None:
    assert run("solve", "--x", folder / "table.csv", "--y", "rate", "--json", "-") == 0
    told = report(capsys)
    assert {one["feature"] for one in told["support"]} == {"gene1", "gene4", "gene9"}
    assert "EBIC" in told["lam_chosen_by"]
    assert told["lam"] > 0


def test_output_files(folder, capsys) -> None:
    data = ("--x", folder / "table.csv", "--y", "rate", "--lam", 0.1)
    assert (
        run("solve", *data, "-o", folder / "x.npz", "--html", folder / "r.html", "--json", folder / "r.json")
        == 0
    )
    printed = capsys.readouterr()
    shown = printed.out
    assert "gene4" in shown
    assert "stationary" in shown
    for name in ("x.npz", "r.html", "r.json"):
        assert str(folder / name) in printed.err.split("wrote ")[1]
    with np.load(folder / "x.npz", allow_pickle=False) as stored:
        x = stored["x"]
    assert x.shape == (12,)
    assert run("solve", *data, "-o", folder / "x.csv") == 0
    with open(folder / "x.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with np.load(folder / "x.npz", allow_pickle=False) as stored:
        intercept = float(stored["intercept"])
    assert {row["feature"]: float(row["coefficient"]) for row in rows} == {
        "(intercept)": intercept,
        **{NAMES[j]: x[j] for j in np.flatnonzero(x)},
    }
    assert json.loads((folder / "r.json").read_text())["n_features"] == 12
    assert "gene4" in (folder / "r.html").read_text()


def test_certify_reports_every_theorem(folder, capsys) -> None:
    data = ("--x", folder / "X.npy", "--y", folder / "y.npy", "--penalty", "log", "--eps", 0.1, "--lam", 0.1)
    assert (
        run("certify", *data, "--target", folder / "mask.npy", "--json", "-", "--html", folder / "c.html")
        == 0
    )
    told = report(capsys)
    by_name = {one["theorem"]: one for one in told["theorems"]}
    assert {f"T{i}" for i in range(1, 13)} <= set(by_name)
    assert by_name["T1"]["status"] == by_name["T2"]["status"] == "holds"
    assert by_name["T2"]["measured"] <= by_name["T2"]["bound"]
    assert not any(one["status"] == "FAILS" for one in told["theorems"])
    X, y, mask = (np.load(folder / f"{name}.npy") for name in ("X", "y", "mask"))
    found = majorize_minimize(MaskProblem(X, y, penalty=Log(0.1), lam=0.1), "l1")
    assert told["target"]["l2_error"] == pytest.approx(np.linalg.norm(found.x - mask), abs=1e-6)
    assert told["target"]["wrong_after_rounding"] == 0
    page = (folder / "c.html").read_text()
    assert 1 < page.count("<details>") <= len(told["theorems"])
    # Every bound of the global minimum at hand counts: the best is told, and branch and bound certifies it.
    assert told["global"]["status"] == "optimal"
    assert told["suboptimality_bound"] <= 2 * told["global"]["tolerance"]
    assert told["suboptimality_bound"] <= by_name["T1"]["bound"] + 1e-12


@pytest.mark.slow
def test_compilation_is_no_part_of_the_time_for_the_global_minimum(folder, tmp_path) -> None:
    program = "import sys; from convex_analysis.command_line import main; main(sys.argv[1:])"
    data = ["--x", folder / "X.npy", "--y", folder / "y.npy", "--lam", "0.1", "--global-seconds", "2"]
    data += ["--problem", "mask"]
    ended = subprocess.run(
        [sys.executable, "-c", program, "certify", *data, "--json", "-"],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ended.stdout)["global"]["status"] == "optimal"


def test_certify_in_the_terminal_with_the_rounded_solution(folder, capsys) -> None:
    data = ("--x", folder / "X.npy", "--y", folder / "y.npy", "--lam", "auto")
    assert run("certify", *data, "--target", "rounded") == 0
    short = capsys.readouterr().out
    assert "does not apply" not in short
    assert "--theorems lists" in short
    assert short.splitlines()[1].startswith("The point keeps ")
    assert run("certify", *data, "--target", "rounded", "--theorems") == 0
    shown = capsys.readouterr().out
    assert "T12" not in shown  # nothing to say of a linear model
    for word in (
        "T1",
        "holds",
        "does not apply",
        "kappa",
        "EBIC",
        "above the global minimum",
        " hold, ",
        " fail",
    ):
        assert word in shown


def test_certify_an_estimate_as_it_is(folder, capsys) -> None:
    data = ("--x", folder / "X.npy", "--y", folder / "y.npy", "--lam", 0.05)
    estimate = np.where(np.load(folder / "mask.npy") > 0, 0.9, 0.2)
    np.savez(folder / "estimate.npz", x=estimate)
    options = ("--estimate", folder / "estimate.npz", "--target", folder / "mask.npy", "--json", "-")
    assert run("certify", *data, *options) == 0
    told = report(capsys)
    X, y = np.load(folder / "X.npy"), np.load(folder / "y.npy")
    problem = MaskProblem(X, y, penalty=Log(), lam=0.05)
    assert told["objective"] == pytest.approx(problem.objective(estimate), rel=1e-12)
    assert told["stationarity"] == pytest.approx(problem.stationarity(estimate), rel=1e-9)
    assert told["target"]["l2_error"] == pytest.approx(np.sqrt(3 * 0.1**2 + 9 * 0.2**2))
    assert {one["theorem"]: one["status"] for one in told["theorems"]}["T4"] == "does not apply"
    assert told["global"]["objective"] < told["objective"]
    assert told["suboptimality_bound"] == pytest.approx(told["objective"] - told["global"]["lower_bound"])
    assert run("certify", *data, *options[:-2]) == 0
    shown = capsys.readouterr().out
    assert "a better point exists" in shown
    assert "not stationary" in " ".join(shown.split())


def test_branch_and_bound_replaces_a_worse_solution(tmp_path, capsys) -> None:
    # From the dense end majorize-minimize stops where both copies are kept; only one is needed.
    rng = np.random.default_rng(1)
    column = rng.standard_normal((40, 1))
    np.savez(tmp_path / "d.npz", X=np.hstack([column, column]), y=column[:, 0])
    data = ("--x", tmp_path / "d.npz", "--y", tmp_path / "d.npz", "--penalty", "lq", "--q", 0.5)
    common = (*data, "--lam", 0.05, "--start", "dense", "--problem", "mask", "--json", "-")
    assert run("certify", *common, "--global-seconds", 0) == 0
    without = report(capsys)
    assert "global" not in without
    assert run("certify", *common) == 0
    told = report(capsys)
    assert told["global"]["status"] == "optimal"
    assert told["objective"] <= without["objective"]
    assert told["objective"] == pytest.approx(told["global"]["objective"], abs=told["global"]["tolerance"])


def test_weight_decay_is_passed_on(folder, capsys) -> None:
    data = ("--x", folder / "X.npy", "--y", folder / "y.npy", "--lam", 0.1, "--weight-decay", 0.1)
    assert run("certify", *data, "--json", "-") == 0
    assert {one["theorem"]: one["status"] for one in report(capsys)["theorems"]}["T11"] == "holds"
    # A mask and weights that were trained together: ridge on the support is a stationary pair.
    X, y, mask = (np.load(folder / f"{name}.npy") for name in ("X", "y", "mask"))
    kept = mask > 0
    theta = np.zeros(12)
    theta[kept] = np.linalg.solve(X[:, kept].T @ X[:, kept] / 60 + 0.1 * np.eye(3), X[:, kept].T @ y / 60)
    np.save(folder / "theta.npy", theta)
    together = ("--estimate", folder / "mask.npy", "--theta", folder / "theta.npy")
    data = ("--x", folder / "X.npy", "--y", folder / "y.npy", "--lam", 0.01, "--weight-decay", 0.1)
    assert run("certify", *data, *together, "--json", "-") == 0
    assert {one["theorem"]: one["status"] for one in report(capsys)["theorems"]}["T17"] == "holds"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--global-seconds": "-1"}, "--global-seconds must be a number of seconds"),
        ({"--estimate": "X.npy"}, "one column is wanted"),
        ({"--estimate": "short.npy"}, "the estimate has 3 entries"),
        ({"--estimate": "outside.npy"}, "entry 0 of the estimate is 2, outside its bounds [0, 1]"),
        ({"--estimate": "text.npy"}, "must hold numbers"),
    ],
)
def test_faults_of_certify_are_one_sentence(folder, capsys, monkeypatch, change, words) -> None:
    monkeypatch.chdir(folder)
    np.save("short.npy", np.ones(3))
    np.save("outside.npy", np.full(12, 2.0))
    np.save("text.npy", np.full(12, "a"))
    options = {"--x": "X.npy", "--y": "y.npy", "--lam": "0.1"} | change
    assert run("certify", *(word for pair in options.items() for word in pair)) == 1
    told = capsys.readouterr().err
    assert told.startswith("")
    assert words in told
    assert told.count("\n") == 1


def test_without_a_target_its_theorems_do_not_apply(folder, capsys) -> None:
    data = ("--x", folder / "X.npy", "--y", folder / "y.npy", "--lam", 0.1, "--json", "-")
    assert run("certify", *data, "--problem", "mask") == 0
    told = report(capsys)
    assert "target" not in told
    assert {one["theorem"]: one["status"] for one in told["theorems"]}["T2"] == "does not apply"


def test_an_early_stop_is_told_by_status_and_report(folder, capsys) -> None:
    data = ("--x", folder / "X.npy", "--y", folder / "labels.npy", "--loss", "logistic", "--lam", 0.001)
    assert run("solve", *data, "--max-iter", 1, "--json", "-") == 2
    assert report(capsys)["status"] != "CONVERGED"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--x": "nowhere.npy"}, "nowhere.npy"),
        ({"--lam": "much"}, "--lam must be a number or auto"),
        ({"--lam": "-1"}, "lam must be finite and not negative"),
        ({"--penalty": "lag"}, "did you mean 'log'"),
        ({"--penalty": "no_such:Root"}, "no module 'no_such'"),
        ({"--penalty": "concave_sparsity.families.mcp:MCP", "--eps": "1"}, "eps"),
        ({"--gamma": "2"}, "gamma"),
        ({"--loss": "logistic"}, "labels"),
        ({"--theta": "y.npy", "--problem": "regression"}, "--theta"),
        ({"--output": "x.txt"}, "--output must end in .csv or .npz, got x.txt"),
        ({"--html": "missing/r.html"}, "cannot write missing/r.html: there is no folder missing, make it"),
        ({"--json": "."}, "cannot write .: it is a folder, name a file in it"),
        ({"--lower": "2", "--upper": "1"}, "lower"),
    ],
)
def test_faults_are_one_sentence(folder, capsys, monkeypatch, change, words) -> None:
    monkeypatch.chdir(folder)
    options = {"--x": "X.npy", "--y": "y.npy", "--lam": "0.1"} | change
    assert run("solve", *(word for pair in options.items() for word in pair)) == 1
    told = capsys.readouterr().err
    assert told.startswith("")
    assert words in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("target", "words"), [(np.ones(3), "3 entries"), (np.full(12, 0.5), "zeros and ones")]
)
def test_a_wrong_target_is_refused(folder, capsys, target, words) -> None:
    np.save(folder / "wrong.npy", target)
    data = ("--x", folder / "X.npy", "--y", folder / "y.npy", "--lam", 0.1)
    assert run("certify", *data, "--target", folder / "wrong.npy") == 1
    assert words in capsys.readouterr().err


def test_help_needs_no_numerical_library() -> None:
    code = (
        "import sys\n"
        "from convex_analysis.command_line import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'scipy', 'numba', 'sklearn', 'cvxpy', 'torch', 'pandas'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "certify" in out
    assert out.splitlines()[-1] == "[]"


def test_solve_and_certify_fit_the_same_model_unless_told(folder, capsys) -> None:
    data = ("--x", folder / "table.csv", "--y", "rate", "--lam", 0.1)
    assert run("solve", *data, "--json", "-") == 0
    solved = report(capsys)
    assert run("certify", *data, "--json", "-") == 0
    certified = report(capsys)
    assert certified["objective"] == solved["objective"]
    assert certified["problem"] == solved["problem"] == "RegressionProblem"
    assert solved["fit_intercept"] is True
    assert certified["fitted"].startswith(
        "Fitted signed regression coefficients to 60 samples of 12 features"
    )
    assert run("certify", *data) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("Certificate The point keeps ")
    assert "proved. Fitted signed regression coefficients" in shown
    assert "above the global minimum" in shown
    assert run("certify", *data, "--problem", "mask") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("Certificate The point keeps ")
    assert "proved. Fitted a mask over fixed weights" in shown
    assert "at most -0" not in shown


def test_a_bound_that_is_the_objective_is_none(folder, capsys, monkeypatch) -> None:
    from convex_analysis.solution import Solution

    monkeypatch.setattr(Solution, "suboptimality_bound", property(lambda self: self.objective))
    assert run("solve", "--x", folder / "X.npy", "--y", folder / "y.npy", "--lam", 0.1) == 0
    assert "no bound: run certify, with --lower and --upper" in " ".join(capsys.readouterr().out.split())


def test_a_bound_above_the_root_of_d_is_vacuous() -> None:
    from convex_analysis.commands.certificate import _rows
    from convex_analysis.theorems import Hypothesis, Verdict

    fine = Verdict(
        "T2", "Error", "", (), quantity="||m - target||_2", bound=0.1, measured=0.05, conclusion=True
    )
    loose = Verdict(
        "T4", "Error", "", (), quantity="||m - target||_2", bound=9.0, measured=0.05, conclusion=True
    )
    no = [Hypothesis.given("target mask", None)]
    silent = [Verdict(name, name, "", tuple(no)) for name in ("T5", "T6")]
    rows, details = _rows([fine, loose, *silent], 9)
    assert [row[2] for row in rows] == ["holds", "vacuous", "does not apply"]
    assert rows[2][0] == "T5, T6"
    assert len(details) == 3


def test_the_intercept_is_fitted_by_default(tmp_path, capsys) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 400)) + 5.0
    y = X[:, :5].sum(axis=1) + 0.1 * rng.standard_normal(60)
    np.savez(tmp_path / "d.npz", X=X, y=y)
    data = ("--x", tmp_path / "d.npz", "--y", tmp_path / "d.npz", "--penalty", "mcp", "--gamma", 3)
    assert run("solve", *data, "--json", "-") == 0
    told = report(capsys)
    found = {one["index"] for one in told["support"]}
    assert found >= {0, 1, 2, 3, 4}
    assert len(found) <= 7
    assert run("solve", *data, "--lam", 0.1, "--no-fit-intercept", "--json", "-") == 0
    assert report(capsys)["intercept"] == 0.0


def test_standardised_features_are_reported_in_their_own_units(tmp_path, capsys) -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((80, 6)) * 10.0 ** np.arange(-2, 4) + 3.0
    y = X @ (np.array([1.0, 0.0, 1.0, 0.0, 0.0, 1.0]) / 10.0 ** np.arange(-2, 4)) + 0.1 * rng.standard_normal(
        80
    )
    np.savez(tmp_path / "d.npz", X=X, y=y)
    data = ("--x", tmp_path / "d.npz", "--y", tmp_path / "d.npz", "--lam", 0.05)
    assert run("solve", *data, "--standardize", "--json", "-", "-o", tmp_path / "x.npz") == 0
    told = report(capsys)
    assert {one["index"] for one in told["support"]} == {0, 2, 5}
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    found = majorize_minimize(RegressionProblem(scaled, y, penalty=Log(), lam=0.05, fit_intercept=True))
    with np.load(tmp_path / "x.npz") as stored:
        prediction = X @ stored["x"] + stored["intercept"]
    np.testing.assert_allclose(prediction, scaled @ found.x + found.intercept, rtol=1e-6)
    assert run("solve", *data, "--standardize", "--problem", "mask") == 1
    assert "--standardize" in capsys.readouterr().err


@pytest.mark.parametrize("choice", ["bic", "cv", "one-standard-error"])
def test_other_ways_to_choose_lam(folder, capsys, choice) -> None:
    data = ("--x", folder / "X.npy", "--y", folder / "y.npy", "--choice", choice, "--json", "-")
    assert run("solve", *data) == 0
    told = report(capsys)
    assert {one["index"] for one in told["support"]} >= {1, 4, 9}
    assert {"bic": "BIC", "cv": "cross-validation"}.get(choice, "one standard error") in told["lam_chosen_by"]


def test_pure_noise_gives_about_no_feature(tmp_path, capsys) -> None:
    rng = np.random.default_rng(3)
    np.savez(tmp_path / "d.npz", X=rng.standard_normal((30, 100)), y=rng.standard_normal(30))
    data = ("--x", tmp_path / "d.npz", "--y", tmp_path / "d.npz", "--json", "-")
    for penalty in ("log", "l1", "mcp"):
        assert run("solve", *data, "--penalty", penalty) == 0
        assert len(report(capsys)["support"]) <= 2


def test_text_labels_and_other_separators(folder, capsys) -> None:
    X, labels = np.load(folder / "X.npy"), np.load(folder / "labels.npy")
    lines = [";".join([*NAMES, "outcome"])]
    for row, label in zip(X, labels):
        cells = [f"{value:.6f}".replace(".", ",") for value in row]
        lines.append(";".join([*cells, "sick" if label > 0 else "healthy"]))
    (folder / "clinic.csv").write_text("\n".join(lines) + "\n")
    options = ("--loss", "logistic", "--lam", 0.05, "--json", "-")
    assert run("solve", "--x", folder / "clinic.csv", "--y", "outcome", *options) == 0
    told = report(capsys)
    assert told["labels"] == "sick is 1, healthy is -1"
    assert run("solve", "--x", folder / "X.npy", "--y", folder / "labels.npy", *options) == 0
    plain = report(capsys)
    assert plain["labels"] is None
    assert told["objective"] == pytest.approx(plain["objective"], rel=1e-4)
    assert run("solve", "--x", folder / "clinic.csv", "--y", "outcome", "--lam", 0.05) == 1
    assert "y holds text (such as" in capsys.readouterr().err


def test_errors_of_the_system_are_said_without_their_numbers() -> None:
    from concave_sparsity.stages import sentence

    assert sentence(FileExistsError(17, "File exists", "X.npy")) == "X.npy: File exists"
    assert sentence(OSError(28, "No space left on device")) == "No space left on device"
    assert sentence(OSError("cannot write x.")) == "cannot write x."
    assert sentence(ValueError("lam must be positive")) == "lam must be positive"


@pytest.mark.parametrize(
    ("program", "module", "name"),
    [
        ("convex-analysis", "convex_analysis.commands.demo", "demo"),
        ("lottery", "nets.commands.catalogue", "tasks"),
    ],
)
def test_ctrl_c_is_said(program, module, name, capsys, monkeypatch) -> None:
    from importlib import import_module

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module(module), name, interrupted)
    with pytest.raises(SystemExit) as ended:
        import_module(f"{module.split('.')[0]}.command_line").main([name])
    assert ended.value.code == 130
    assert capsys.readouterr().err == f"{program}: stopped\n"


def test_nothing_is_silent_for_long(capsys, monkeypatch) -> None:
    import time

    from concave_sparsity import stages

    monkeypatch.setattr(stages, "FIRST", 0.05)
    with stages.stage("solving"):
        time.sleep(0.2)
    assert capsys.readouterr().err.startswith("solving (")
    with stages.stage("reading the data"):
        pass
    assert capsys.readouterr().err == ""


def test_the_bar_in_a_terminal_counts(monkeypatch) -> None:
    import io
    import time

    from concave_sparsity import stages

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(stages, "FIRST", 0.01)
    monkeypatch.setattr(stages.sys, "stderr", terminal)
    with stages.stage("following the path") as now:
        now.tell(3, 8)
        time.sleep(0.6)
    assert "following the path" in terminal.getvalue()
    assert "3/8" in terminal.getvalue()


def test_a_path_is_reported_stored_and_drawn_with_the_chosen_lam(folder, capsys) -> None:
    data = ("--x", folder / "table.csv", "--y", "rate", "--standardize")
    files = ("-o", folder / "path.csv", "--plot", folder / "path.png", "--html", folder / "path.html")
    assert run("path", *data, "--n-lams", 12, *files, "--json", "-") == 0
    told = report(capsys)
    assert len(told["path"]) == 12
    assert told["path"][0]["support_size"] == 0
    assert told["support"] == ["gene1", "gene4", "gene9"]
    assert told["quantity"] == "EBIC"
    best = min(told["path"], key=lambda step: step["value"])
    assert best["lam"] == told["lam_chosen"]
    with open(folder / "path.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12
    (chosen,) = [row for row in rows if row["chosen"] == "1"]
    assert float(chosen["lam"]) == told["lam_chosen"]
    assert float(chosen["gene4"]) == pytest.approx(1.0, abs=0.1)  # in its own units
    drawn = (folder / "path.png").read_bytes()
    assert drawn.startswith(b"\x89PNG")
    assert base64.b64encode(drawn).decode() in (folder / "path.html").read_text()
    assert run("path", *data, "--n-lams", 5, "--choice", "cv") == 0
    assert "held-out loss" in capsys.readouterr().out
    assert run("path", *data, "--n-lams", 3, "--smallest", 0.9) == 0
    assert "better, give --smallest" in " ".join(capsys.readouterr().out.split())  # --lam has no place here


def test_a_bound_counts_beside_the_objective_in_any_units() -> None:
    from convex_analysis.commands.certificate import _verdict

    X = np.random.default_rng(0).standard_normal((20, 3))
    found = majorize_minimize(RegressionProblem(X, 1e-5 * X[:, 0] + 1e-6, lam=1e-8))
    none = dict.fromkeys(("holds", "applies", "FAILS"), 0)
    assert "smaller by more than" in _verdict(0.5 * found.objective, found, none)
    assert "is not known" in _verdict(found.objective, found, none)
    assert "is the global minimum" in _verdict(1e-6 * found.objective, found, none)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--lam", 0.1), "a path has a grid"),
        (("--plot", "path.docx"), "--plot must end in .png or .svg or .pdf"),
        (("-o", "path.npz"), "--output must end in .csv"),
        (("--smallest", 2.0), "smallest"),
    ],
)
def test_faults_of_a_path_are_one_sentence(folder, capsys, change, words) -> None:
    assert run("path", "--x", folder / "X.npy", "--y", folder / "y.npy", *change) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_every_loss_of_the_registry_is_taken(folder, capsys) -> None:
    from typing import get_args, get_type_hints

    from convex_analysis.commands.statement import Statement
    from convex_analysis.losses import LOSSES

    assert set(get_args(get_type_hints(Statement)["loss"])) == set(LOSSES)
    counts = np.random.default_rng(0).poisson(np.exp(0.5 * np.load(folder / "X.npy")[:, 1]))
    np.save(folder / "counts.npy", counts)
    data = ("--x", folder / "X.npy", "--y", folder / "counts.npy", "--loss", "poisson")
    assert run("path", *data, "--n-lams", 8, "--json", "-") == 0
    assert "1" in report(capsys)["support"]
    assert run("solve", *data, "--lam", 0.1, "--json", "-") == 0
    assert report(capsys)["loss"] == "Poisson()"
    assert run("certify", *data, "--lam", 0.1, "--lower", -1, "--upper", 1) == 1
    assert "bounded curvature, which poisson is not: use solve" in capsys.readouterr().err
    data = ("--x", folder / "X.npy", "--y", folder / "labels.npy", "--loss", "squared-hinge")
    assert run("solve", *data, "--lam", 0.1) == 0


def test_a_ridge_and_an_offset_are_those_of_the_problem(folder, capsys) -> None:
    X, rate = np.load(folder / "X.npy"), np.random.default_rng(1).uniform(0.0, 1.0, 60)
    y = np.load(folder / "y.npy")
    header = ",".join([*NAMES, "rate", "exposure"])
    table = np.column_stack((X, y, rate))
    np.savetxt(folder / "exposed.csv", table, delimiter=",", header=header, comments="", fmt="%.17g")
    np.save(folder / "offset.npy", rate)
    options = ("--penalty", "l1", "--lam", 0.05, "--ridge", 0.3, "--json", "-")
    problem = RegressionProblem(X, y, lam=0.05, ridge=0.3, offset=rate, fit_intercept=True)
    expected = majorize_minimize(problem).objective
    for offset in ("exposure", folder / "offset.npy"):
        data = ("--x", folder / "exposed.csv", "--y", "rate", "--offset", offset)
        left_out = () if offset == "exposure" else ("--drop", "exposure")
        assert run("solve", *data, *options, *left_out) == 0
        assert report(capsys)["objective"] == pytest.approx(expected, rel=1e-8)
    assert run("solve", "--x", folder / "X.npy", "--y", folder / "y.npy", *options[:4], "--ridge", -1) == 1
    assert "ridge" in capsys.readouterr().err
