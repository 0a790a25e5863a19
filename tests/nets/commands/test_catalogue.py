import subprocess
import sys

import pytest

from nets.command_line import main


def run(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["data", *arguments])
    assert stopped.value.code in (0, None)
    return capsys.readouterr().out


def test_the_list_says_what_is_there_and_how_to_get_the_rest(capsys, tmp_path):
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{part}-ubyte").write_bytes(b"")
    out = run(capsys, "--data-dir", str(tmp_path))
    assert f"data folder: {tmp_path}" in out
    assert "FashionMNIST/raw" in out
    assert "comes along" in out
    for line in ("  mnist: Put train-images", "  cifar100: Put cifar-100-python.tar.gz from https://"):
        assert line in out
    assert "  fashion-mnist: Put" not in out


def test_one_data_set_is_checked_and_shown(capsys):
    out = run(capsys, "digits")
    assert "samples: 1,258 train, 180 validation, 359 test; shape 1 x 8 x 8; 10 classes" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mnits"], "lottery: unknown data set 'mnits' (did you mean 'mnist'?); the data sets are digits"),
        (["mnist"], "lottery: mnist is not in"),
        (["--fetch"], "say which data set to fetch"),
    ],
)
def test_errors_are_sentences(capsys, tmp_path, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(["data", *arguments, "--data-dir", str(tmp_path)])
    assert stopped.value.code == 1
    assert message in capsys.readouterr().err


def test_help_imports_no_torch():
    code = (
        "import sys\nfrom nets.command_line import main\n"
        "try:\n    main(['data', '--help'])\nexcept SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
