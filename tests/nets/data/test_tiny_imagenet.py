import numpy as np
import pytest
from PIL import Image

from nets.data import load


def write_tiny(folder, classes=("n002", "n001"), train: int = 4, test: int = 2):
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("\n".join(classes) + "\n")
    lines = []
    for k, name in enumerate(sorted(classes)):
        images = folder / "train" / name / "images"
        images.mkdir(parents=True)
        for i in range(train):
            Image.fromarray(np.full((64, 64, 3), 40 * k, np.uint8)).save(images / f"{name}_{i}.JPEG")
        for _ in range(test):
            file = f"val_{len(lines)}.JPEG"
            Image.fromarray(np.full((64, 64, 3), 40 * k, np.uint8)).save(folder / "val" / "images" / file)
            lines.append(f"{file}\t{name}\t0\t0\t62\t62")
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")


def test_the_official_layout_is_read(tmp_path):
    write_tiny(tmp_path / "tiny-imagenet-200")
    data = load("tiny-imagenet", data_dir=tmp_path, validation=2, verify=False, download=False)
    assert data.class_names == ("n001", "n002")  # labels go by the sorted names
    assert (data.n_train, len(data.x_validation), len(data.x_test)) == (6, 2, 4)
    assert data.input_shape == (3, 64, 64)
    assert data.y_test.tolist() == [0, 0, 1, 1]
    brightness = data.x_train.mean((1, 2, 3))
    assert ((brightness > brightness.mean()).long() == data.y_train).all()


def test_a_part_of_it_is_not_taken_for_the_whole(tmp_path):
    write_tiny(tmp_path / "tiny-imagenet-200")
    with pytest.raises(ValueError, match="is not the whole Tiny-ImageNet: it holds 8 training and 4"):
        load("tiny-imagenet", data_dir=tmp_path, download=False)


@pytest.mark.parametrize("line", ["../../secret.JPEG\tn001", "val_0.JPEG\tn999", "val_0.JPEG"])
def test_annotations_that_lead_elsewhere_are_refused(tmp_path, line):
    write_tiny(tmp_path / "tiny-imagenet-200")
    (tmp_path / "tiny-imagenet-200" / "val" / "val_annotations.txt").write_text(line + "\n")
    with pytest.raises(ValueError, match="a line that names no image and class"):
        load("tiny-imagenet", data_dir=tmp_path, verify=False, download=False)


@pytest.mark.parametrize("names", ["", "n001\nn001\n", "../secret\nn001\n"])
def test_class_names_that_are_no_names_are_refused(tmp_path, names):
    write_tiny(tmp_path / "tiny-imagenet-200")
    (tmp_path / "tiny-imagenet-200" / "wnids.txt").write_text(names)
    with pytest.raises(ValueError, match="must list distinct class names"):
        load("tiny-imagenet", data_dir=tmp_path, verify=False, download=False)
