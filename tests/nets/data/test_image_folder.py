"""image_folder"""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from nets.data import load
from nets.data.image_folder import decode


def picture(shade: int, width: int = 8, height: int = 8) -> Image.Image:
    pixels = np.full((height, width, 3), shade, dtype=np.uint8)
    pixels[0, 0] = (255, 0, 128)
    return Image.fromarray(pixels)


def write(folder, n: int, shade: int, suffix: str = "png", **size):
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(n):
        picture(shade + k, **size).save(folder / f"{k:03}.{suffix}")


def test_a_folder_of_classes_is_split(tmp_path):
    write(tmp_path / "flowers" / "rose", 20, 10)
    write(tmp_path / "flowers" / "lily", 30, 100)
    (tmp_path / "flowers" / ".cache").mkdir()
    (tmp_path / "flowers" / "rose" / "notes.txt").write_text("no image")
    data = load(tmp_path / "flowers")
    assert data.class_names == ("lily", "rose")
    assert (data.n_train, len(data.x_validation), len(data.x_test)) == (36, 4, 10)
    assert data.y_test.bincount().tolist() == [6, 4]
    assert data.input_shape == (3, 8, 8)
    assert data.augmentation.pad == 1
    assert load(str(tmp_path / "flowers")).fingerprint() == data.fingerprint()


def test_parts_are_read_as_they_are(tmp_path):
    for part, n in (("train", 6), ("val", 3), ("test", 2)):
        write(tmp_path / part / "a", n, 10)
        write(tmp_path / part / "b" / "deeper", n, 100, suffix="PNG")
    data = load(tmp_path)
    assert (data.n_train, len(data.x_validation), len(data.x_test)) == (12, 6, 4)
    # Every pixel is where it was: the marked corner in the order red, green, blue.
    raw = data.x_test[0] * data.std.view(3, 1, 1) * 255 + data.mean.view(3, 1, 1) * 255
    np.testing.assert_allclose(raw[:, 0, 0].numpy(), [255, 0, 128], atol=1e-3)
    np.testing.assert_allclose(raw[:, 1:, 1:].numpy(), 10, atol=1e-3)


def test_images_of_different_sizes_need_a_size(tmp_path):
    write(tmp_path / "a", 5, 10)
    write(tmp_path / "b", 5, 100, width=12, height=9)
    with pytest.raises(
        ValueError, match=r"000.png has 12 x 9 pixels where 000.png has 8 x 8; give image_size"
    ):
        load(tmp_path)
    assert load(tmp_path, image_size=6).input_shape == (3, 6, 6)


def test_resizing_crops_the_centre(tmp_path):
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    out = decode(tmp_path / "wide.png", 10)
    assert out.shape == (3, 10, 10)
    assert (out == 200).all()


def test_jpeg_grey_and_transparent_images_become_rgb(tmp_path):
    for name, mode in (("a.jpg", "L"), ("b.png", "RGBA"), ("c.png", "P"), ("d.png", "1")):
        Image.new(mode, (5, 4)).save(tmp_path / name)
        assert decode(tmp_path / name).shape == (3, 4, 5)


@pytest.mark.parametrize(
    "content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(30), b"GIF89a" + bytes(100)]
)
def test_what_is_no_image_is_named(tmp_path, content):
    write(tmp_path / "a", 3, 10)
    write(tmp_path / "b", 3, 100)
    (tmp_path / "b" / "001.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"001.png is not a readable PNG or JPEG image"):
        load(tmp_path)


def test_a_truncated_image_is_named(tmp_path):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(out, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(out.getvalue()[:-500])
    with pytest.raises(ValueError, match=r"cut.jpg is not a readable"):
        decode(tmp_path / "cut.jpg")


def test_an_image_that_claims_to_be_huge_is_refused_before_it_is_decoded(tmp_path):
    out = io.BytesIO()
    picture(1).save(out, "PNG")
    content = bytearray(out.getvalue())
    content[16:24] = (60000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"bomb.png is not a readable"):
        decode(tmp_path / "bomb.png")


def test_layouts_that_are_no_classes_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no image folder"):
        load(tmp_path / "nowhere")
    write(tmp_path / "one" / "a", 2, 10)
    with pytest.raises(ValueError, match="at least two; it holds 1"):
        load(tmp_path / "one")
    (tmp_path / "one" / "b").mkdir()
    with pytest.raises(ValueError, match="b holds no PNG or JPEG image"):
        load(tmp_path / "one")
    for part in ("train", "test"):
        write(tmp_path / "parts" / part / "a", 2, 10)
        write(tmp_path / "parts" / part / "b", 2, 10)
    write(tmp_path / "parts" / "test" / "c", 2, 10)
    with pytest.raises(ValueError, match="c is a class that the training part"):
        load(tmp_path / "parts")


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
