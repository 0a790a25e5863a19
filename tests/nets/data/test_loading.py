import torch

from nets.data import load


def test_digits_is_split_by_seed_and_class():
    data = load("digits")
    assert data.input_shape == (1, 8, 8)
    assert (data.n_train, len(data.x_validation), len(data.x_test)) == (1258, 180, 359)
    assert data.y_validation.bincount().tolist() == [18] * 10
    again = load("digits")
    assert torch.equal(data.x_train, again.x_train)
    assert not torch.equal(data.x_train, load("digits", seed=1).x_train)
