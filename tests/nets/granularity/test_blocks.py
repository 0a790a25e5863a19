"""Blocks: whole ones, for every method; a partition of a user's own, by registry and import path."""

import pytest
import torch
from torch import nn

import nets
from nets import Play, registry
from nets.analysis.controls import control
from nets.configuration import Training
from nets.granularity.blocks import Blocks, kernel, square
from nets.masking.layout import Layout
from nets.masking.selection import select
from nets.methods import method, method_names

METHODS = [name for name in method_names() if "block" in method(name).granularities]
TRAINING = Training(epochs=1, batch_size=40, lr=0.05, momentum=0.9)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))


DATA = (torch.randn(120, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(120) % 10)


def whole(masks, partition):
    """Tell whether every block is kept or pruned as a whole, by plain loops."""
    for name, mask in masks.items():
        numbers = partition(name, tuple(mask.shape))
        for number in numbers.unique():
            if len(mask[numbers == number].unique()) != 1:
                return False
    return True


def columns_of_two(name, shape):
    """Pairs of rows of a matrix or a tensor."""
    rows = torch.arange(shape[0]) // 2
    return rows.view(-1, *(1 for _ in shape[1:])).expand(shape)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_whole_blocks(name):
    ticket = nets.find_ticket(
        network(), DATA, method=name, density=0.3, training=TRAINING, granularity="square"
    )
    assert whole(ticket.masks, square)
    assert round(0.3 * ticket.total) - 16 <= ticket.kept <= round(0.3 * ticket.total)
    assert ticket.metadata["granularity"] == "square"
    assert ticket.metadata["blocks"] > ticket.metadata["blocks_kept"] >= 2


def test_the_best_head_of_the_ranking_is_kept_and_no_tensor_is_emptied():
    shapes = ((6, 5), (3, 2, 3, 3))
    layout = Layout(("a", "b"), shapes)
    for partition in (kernel, square, columns_of_two):
        groups = Blocks("mine", partition, layout)
        tied = Layout(layout.names, shapes, groups)
        numbers = {n: partition(n, s) for n, s in zip(layout.names, shapes)}
        for seed in range(20):
            scores = torch.rand(
                tied.total, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
            )
            count = groups.count(0.6)
            masks = tied.split(select(scores, tied, count))
            assert whole(masks, partition)
            by_block, kept = [], 0
            for name, part in tied.split(scores).items():
                mine = [
                    (float(part[numbers[name] == k].sum()), int((numbers[name] == k).sum()), name, int(k))
                    for k in numbers[name].unique()
                ]
                best = max(mine, key=lambda b: b[0])
                by_block += [(b[0] if b is not best else float("inf"), *b[1:]) for b in mine]
            for _, size, name, k in sorted(by_block, key=lambda b: -b[0]):
                kept += size
                assert bool(masks[name][numbers[name] == k].all()) == (kept <= count)
        with pytest.raises(ValueError, match=r"too few for one block in every tensor.*at least"):
            select(torch.rand(tied.total), tied, 1)
        mask = select(scores, tied, count)
        groups.refuse(mask, count)
        mask[-1] = ~mask[-1]  # of a kernel of nine
        with pytest.raises(AssertionError):
            groups.refuse(mask, tied.total)


def test_controls_draw_whole_blocks_of_the_same_layers():
    ticket = nets.find_ticket(
        network(), DATA, method="random", density=0.3, training=TRAINING, granularity="kernel"
    )
    for name in ("shuffle", "random", "invert"):
        layout = Layout.of(network(), ("0.weight", "3.weight"))
        layout = Layout(layout.names, layout.shapes, Blocks("kernel", kernel, layout))
        changed = control(name, ticket, 1, lambda seed: network().state_dict(), layout)
        assert whole(changed.masks, kernel)
        assert changed.layer_densities == ticket.layer_densities
        assert any((changed.masks[n] != ticket.masks[n]).any() for n in ticket.masks)


def test_a_partition_of_ones_own_has_a_name_and_a_path(tmp_path):
    registry.granularities.register("rows-of-two", columns_of_two)
    try:
        ticket = nets.find_ticket(
            network(), DATA, method="magnitude", density=0.4, training=TRAINING, granularity="Rows_of_Two"
        )
        assert ticket.metadata["granularity"] == "rows-of-two"
    finally:
        registry.granularities.forget("rows-of-two")
    assert whole(ticket.masks, columns_of_two)
    assert Play(granularity=" nets.granularity.blocks:kernel").granularity == "nets.granularity.blocks:kernel"
    named, pathed = (
        nets.find_ticket(network(), DATA, method="random", density=0.4, granularity=name, training=TRAINING)
        for name in ("kernel", "nets.granularity.blocks:kernel")
    )
    assert all(torch.equal(named.masks[n], pathed.masks[n]) for n in named.masks)


@pytest.mark.parametrize(
    ("partition", "told"),
    [(lambda n, s: torch.arange(3), "of shape"), (lambda n, s: torch.rand(s), "float32")],
)
def test_what_is_no_partition_is_refused(partition, told):
    with pytest.raises(ValueError, match=rf"must give a integers of shape \(2, 3\), one a weight.*{told}"):
        Blocks("mine", partition, Layout(("a",), ((2, 3),)))


def test_the_mask_of_ones_own_loop_moves_blocks():
    model = network()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    masking = nets.Masking(model, optimiser, density=0.3, steps=6, granularity="kernel")
    for _ in range(6):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(DATA[0]), DATA[1]).backward()
        optimiser.step()
    ticket = masking.ticket()
    assert whole(ticket.masks, kernel)
    assert ticket.kept <= round(0.3 * ticket.total)
