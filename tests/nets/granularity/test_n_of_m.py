"""N:M: every group keeps exactly N, for every method; training keeps the pattern; scores decide."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from concave_sparsity import MCP, Log
from nets.configuration import Play, Training
from nets.granularity.n_of_m import NOfM
from nets.lottery import find_ticket, find_tickets, play, retrain
from nets.masking.layout import Layout, maskable
from nets.masking.selection import select
from nets.methods import method, method_names
from nets.tickets import Ticket

METHODS = [name for name in method_names() if "n:m" in method(name).granularities]
TRAINING = Training(epochs=2, batch_size=40, lr=0.05, momentum=0.9, weight_decay=1e-3)


def kept_per_group(mask, m):
    """Return the weights kept in every group and its size, by plain loops over the definition."""
    kept, sizes = [], []
    for row in mask:
        flat = [bool(x) for x in row.movedim(0, -1).reshape(-1)] if row.dim() > 1 else row.tolist()
        for start in range(0, len(flat), m):
            group = flat[start : start + m]
            kept.append(sum(group))
            sizes.append(len(group))
    return kept, sizes


def obeys(masks, n, m):
    for mask in masks.values():
        kept, sizes = kept_per_group(mask, m)
        if kept != [min(n, size) for size in sizes]:
            return False
    return True


def grouped(model, n, m):
    names = maskable(model)
    layout = Layout.of(model, names)
    return Layout(layout.names, layout.shapes, NOfM(n, m, model, layout))


SHAPES = st.lists(
    st.one_of(
        st.builds(lambda a, b: nn.Linear(a, b), st.integers(1, 9), st.integers(1, 5)),
        st.builds(
            lambda a, b, k: nn.Conv2d(a, b, k), st.integers(1, 6), st.integers(1, 3), st.integers(1, 3)
        ),
        st.builds(lambda a, b: nn.Conv1d(4 * a, 2 * b, 3, groups=2), st.integers(1, 2), st.integers(1, 2)),
    ),
    min_size=1,
    max_size=3,
)


@given(layers=SHAPES, pair=st.sampled_from([(1, 2), (2, 4), (1, 4), (3, 4), (4, 8), (2, 3)]), data=st.data())
def test_the_largest_scores_of_every_group_are_kept(layers, pair, data):
    n, m = pair
    layout = grouped(nn.Sequential(*layers), n, m)
    values = data.draw(st.lists(st.integers(-3, 3), min_size=layout.total, max_size=layout.total))
    scores = torch.tensor(values, dtype=torch.float32)
    count = layout.groups.count(0.5)
    mask = select(scores, layout, count)
    assert int(mask.sum()) == count
    masks, parts = layout.split(mask), layout.split(scores)
    assert obeys(masks, n, m)
    layout.groups.refuse(mask, count)
    for name, part in masks.items():
        for row, score in zip(part, parts[name]):
            kept = row.movedim(0, -1).reshape(-1).tolist() if row.dim() > 1 else row.tolist()
            worth = score.movedim(0, -1).reshape(-1).tolist() if score.dim() > 1 else score.tolist()
            for start in range(0, len(kept), m):
                group = range(start, min(start + m, len(kept)))
                best = sorted(group, key=lambda i: (-worth[i], i))[: min(n, len(group))]
                assert {i for i in group if kept[i]} == set(best)


@given(layers=SHAPES, share=st.floats(0.3, 1.0), seed=st.integers(0, 9))
def test_masks_on_the_way_contain_the_final_one_and_thresholds_agree_with_selection(layers, share, seed):
    layout = grouped(nn.Sequential(*layers), 2, 4)
    groups = layout.groups
    scores = torch.rand(layout.total, generator=torch.Generator().manual_seed(seed))
    final, before = (
        select(scores, layout, groups.count(0.5)),
        select(scores, layout, round(share * layout.total)),
    )
    assert (before | ~final).all()
    middle = groups.threshold(scores, share)
    above = torch.ones_like(final) if middle is None else scores > middle
    if share < 1:
        assert torch.equal(above, before)
    narrowed = select(scores.masked_fill(~before, -torch.inf), layout, groups.count(0.5))
    assert torch.equal(narrowed, final)


def test_a_mask_that_breaks_the_pattern_is_refused():
    layout = grouped(nn.Linear(8, 2), 2, 4)
    mask = torch.tensor([True, False] * 8)
    layout.groups.refuse(mask, 8)
    mask[:4] = torch.tensor([True, True, True, False])
    mask[4:8] = torch.tensor([True, False, False, False])
    with pytest.raises(AssertionError, match="2 groups of 4"):
        layout.groups.refuse(mask, 8)


def test_tensors_without_rows_of_inputs_are_refused():
    model = nn.Sequential(nn.ConvTranspose2d(4, 4, 3), nn.Linear(4, 4))
    with pytest.raises(ValueError, match=r"0.weight of shape .* exclude it"):
        grouped(model, 2, 4)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_n_of_m_and_says_so(name, blobs, conv_net):
    one, other = (
        find_ticket(conv_net(), blobs, name, training=TRAINING, penalty=Log(0.1), seed=3, granularity="2:4")
        for _ in range(2)
    )
    assert obeys(one.masks, 2, 4)
    assert one.metadata["granularity"] == "2:4"
    assert one.metadata["asked_density"] == 0.5
    assert all(torch.equal(one.masks[key], other.masks[key]) for key in one.masks)
    kept, _ = kept_per_group(one.masks["conv.weight"], 4)
    assert kept[:3] == [2, 2, 1]  # 9 inputs: two groups of four and one left over


@pytest.mark.parametrize("name", ["imp", "gmp", "synflow", "concave"])
def test_one_of_eight_is_reached_gradually(name, blobs, conv_net):
    ticket = find_ticket(conv_net(), blobs, name, training=TRAINING, penalty=MCP(2), granularity="1:8")
    assert obeys(ticket.masks, 1, 8)


def test_the_concave_mask_is_cut_without_loss(blobs, conv_net):
    """The price is set group by group, so the relaxed mask has N entries above one half in each."""
    longer = Training(epochs=8, batch_size=30, lr=0.05)
    (ticket,) = find_tickets(
        conv_net(), blobs, "concave", densities=[0.9], training=longer, granularity="2:4"
    )
    assert obeys(ticket.masks, 2, 4)
    assert abs(ticket.metadata["report"]["cut_loss"]) <= 0.05
    shown = ticket.trace["above_half"]
    assert shown[0] > ticket.density >= shown[-1] > 0.8 * ticket.density  # no curvature, no place in the mask


def test_retraining_and_saving_keep_the_pattern(blobs, conv_net, tmp_path):
    ticket = find_ticket(conv_net(), blobs, "magnitude", training=TRAINING, granularity="2:4")
    again = Ticket.load(ticket.save(tmp_path / "t.safetensors"))
    assert again.metadata["granularity"] == "2:4"
    trained = retrain(again, conv_net(), blobs, training=TRAINING)
    parameters = dict(trained.model.named_parameters())
    alive = {name: parameters[name] != 0 for name in ticket.masks}
    assert all((alive[name] <= mask).all() for name, mask in ticket.masks.items())
    assert sum(int(a.sum()) for a in alive.values()) > 0.95 * ticket.kept


def test_a_play_of_n_of_m_has_its_density(monkeypatch):
    result = play(Play(granularity="1:4", method="random", epochs=1, density=0.9))
    assert result.density == result.play.density == 0.25
    assert result.row()["granularity"] == "1:4"
