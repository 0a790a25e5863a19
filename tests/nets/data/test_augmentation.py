import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from nets.data import Augmentation
from nets.data.augmentation import Draw


@st.composite
def batches(draw):
    n, channels, height, width = (draw(st.integers(1, k)) for k in (5, 3, 9, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    x = torch.randint(1, 256, (n, channels, height, width), generator=generator, dtype=torch.uint8)
    return x if draw(st.booleans()) else x.to(torch.float32)


settings = st.builds(Augmentation, pad=st.integers(0, 5), flip=st.booleans(), cutout=st.integers(0, 6))


def one_by_one(x: np.ndarray, augmentation: Augmentation, draw: Draw, fill: float) -> np.ndarray:
    """The definition, one image at a time: pad, crop, mirror, blank a square."""
    out = np.empty_like(x)
    _, _, height, width = x.shape
    for k, image in enumerate(x):
        pad = augmentation.pad
        padded = np.pad(image, ((0, 0), (pad, pad), (pad, pad)), constant_values=fill)
        top, left = int(draw.top[k]), int(draw.left[k])
        crop = padded[:, top : top + height, left : left + width].copy()
        if draw.mirrored[k]:
            crop = crop[:, :, ::-1].copy()
        if augmentation.cutout:
            first_row = int(draw.row[k]) - augmentation.cutout // 2
            first_column = int(draw.column[k]) - augmentation.cutout // 2
            rows = slice(max(first_row, 0), max(first_row + augmentation.cutout, 0))
            columns = slice(max(first_column, 0), max(first_column + augmentation.cutout, 0))
            crop[:, rows, columns] = fill
        out[k] = crop
    return out


@given(batches(), settings, st.integers(0, 2**31), st.sampled_from([0.0, 7.0]))
def test_batch_equals_one_image_at_a_time(x, augmentation, seed, fill):
    draw = augmentation.draw(x, torch.Generator().manual_seed(seed))
    expected = one_by_one(x.numpy(), augmentation, draw, fill)
    np.testing.assert_array_equal(augmentation.apply(x, draw, fill).numpy(), expected)
    per_channel = torch.full((x.shape[1],), fill)
    np.testing.assert_array_equal(augmentation.apply(x, draw, per_channel).numpy(), expected)


@given(batches(), settings, st.integers(0, 2**31))
def test_input_is_untouched_and_the_seed_fixes_the_output(x, augmentation, seed):
    before = x.clone()
    one = augmentation(x, torch.Generator().manual_seed(seed))
    two = augmentation(x, torch.Generator().manual_seed(seed))
    assert torch.equal(one, two)
    assert torch.equal(x, before)
    assert (one.shape, one.dtype) == (x.shape, x.dtype)


@given(batches(), settings, st.integers(0, 2**31))
def test_draws_lie_in_their_ranges(x, augmentation, seed):
    draw = augmentation.draw(x, torch.Generator().manual_seed(seed))
    highest = (
        2 * augmentation.pad,
        2 * augmentation.pad,
        int(augmentation.flip),
        x.shape[2] - 1,
        x.shape[3] - 1,
    )
    for values, top in zip(draw, highest):
        assert values.shape == (len(x),)
        assert values.min() >= 0
        assert values.max() <= top


@given(batches(), st.integers(0, 2**31))
def test_flip_is_an_involution(x, seed):
    flip = Augmentation(pad=0, flip=True)
    draw = flip.draw(x, torch.Generator().manual_seed(seed))
    assert torch.equal(flip.apply(flip.apply(x, draw), draw), x)


@given(batches(), st.integers(1, 4), st.integers(0, 2**31))
def test_cropping_keeps_pixels(x, pad, seed):
    crop = Augmentation(pad=pad, flip=False)
    out = crop(x, torch.Generator().manual_seed(seed))
    for before, after in zip(x, out):
        # Pixels are at least 1, so that what is not blank came from the image, each pixel once at most.
        values, counts = after[after > 0].unique(return_counts=True)
        for value, count in zip(values, counts):
            assert count <= (before == value).sum()


def test_no_change_asked_is_no_change():
    x = torch.rand(4, 3, 6, 6)
    assert torch.equal(Augmentation(pad=0, flip=False)(x, torch.Generator()), x)


def test_choices_are_uniform():
    x = torch.zeros(20_000, 1, 4, 5, dtype=torch.uint8)
    draw = Augmentation(pad=2).draw(x, torch.Generator().manual_seed(0))
    for values, levels in zip(draw, (5, 5, 2, 4, 5)):
        share = values.bincount(minlength=levels) / len(x)
        # Four standard deviations of a binomial share.
        assert (share - 1 / levels).abs().max() < 4 * (1 / levels * (1 - 1 / levels) / len(x)) ** 0.5
    assert torch.corrcoef(torch.stack([v.float() for v in draw])).fill_diagonal_(0).abs().max() < 0.03


def test_switching_one_part_off_leaves_the_others_choices():
    x = torch.zeros(50, 1, 8, 8)
    full = Augmentation(pad=3, flip=True).draw(x, torch.Generator().manual_seed(1))
    without = Augmentation(pad=3, flip=False).draw(x, torch.Generator().manual_seed(1))
    assert torch.equal(full.top, without.top)
    assert torch.equal(full.left, without.left)
    assert full.mirrored.any()
    assert not without.mirrored.any()


def test_crop_agrees_with_torch_padding():
    x = torch.rand(1, 3, 5, 5)
    draw = Draw(*(torch.tensor([v]) for v in (0, 4, 0, 0, 0)))
    expected = functional.pad(x, (2, 2, 2, 2))[:, :, 0:5, 4:9]
    assert torch.equal(Augmentation(pad=2).apply(x, draw), expected)


def test_bad_settings_and_shapes_are_refused():
    with pytest.raises(ValueError, match="pad must be a number of pixels"):
        Augmentation(pad=-1)
    with pytest.raises(ValueError, match="cutout must be a number of pixels"):
        Augmentation(cutout=1.5)
    with pytest.raises(ValueError, match="needs images"):
        Augmentation()(torch.zeros(3, 4), torch.Generator())


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@needs_cuda
def test_a_cpu_generator_gives_the_same_images_on_a_gpu():
    x = torch.rand(64, 3, 32, 32)
    augmentation = Augmentation(pad=4, cutout=8)
    on_cpu = augmentation(x, torch.Generator().manual_seed(3))
    on_gpu = augmentation(x.cuda(), torch.Generator().manual_seed(3))
    assert torch.equal(on_gpu.cpu(), on_cpu)


@needs_cuda
def test_it_can_be_captured_in_a_cuda_graph():
    x = torch.rand(64, 3, 32, 32, device="cuda")
    augmentation = Augmentation(pad=4, cutout=8)
    generator = torch.Generator(device="cuda").manual_seed(3)
    augmentation(x, generator)  # warm up
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        out = augmentation(x, generator)
    graph.replay()
    first = out.clone()
    graph.replay()
    assert not torch.equal(out, first)
    assert torch.isin(out, torch.cat([x.flatten(), x.new_zeros(1)])).all()
