"""The smaller network computes what the masked one does."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

import nets
from nets.configuration import Training
from nets.export.compact import shrink
from nets.granularity.channels import Channels
from nets.granularity.removal import disturbed
from nets.masking.layout import Layout, maskable
from nets.models import build
from nets.models.vision_transformer import vit_lite
from nets.tickets import Ticket

MODELS = {
    "lenet-300-100": ((1, 8, 8), 1.0),
    "lenet-5": ((1, 28, 28), 1.0),
    "conv-2": ((1, 8, 8), 1.0),
    "conv-4": ((3, 8, 8), 0.5),
    "resnet-20": ((3, 8, 8), 1.0),
    "resnet-18": ((3, 8, 8), 1 / 8),
    "wide-resnet-16-8": ((3, 8, 8), 1 / 16),
    "vgg-11": ((3, 32, 32), 1 / 4),
    "vit-lite-2": ((1, 8, 8), 1 / 4),
}


def channel_ticket(model, shape, density, seed=0):
    """Return a ticket of random units for a network that is moved off its initialisation."""
    layout = Layout.of(model, maskable(model))
    channels = Channels(model, layout, torch.randn(1, *shape, dtype=next(model.parameters()).dtype))
    scores = torch.rand(layout.total, generator=torch.Generator().manual_seed(seed))
    own = channels.own(scores)
    mask = channels.expand(channels.choose(own, channels.count(density)))
    masks = {name: m.clone() for name, m in layout.split(mask).items()}
    return Ticket(masks, model.state_dict(), {"granularity": "channel", "input_shape": list(shape)})


def network(name, shape, width):
    spec = partial(vit_lite, depth=2) if name == "vit-lite-2" else name
    return build(spec, shape, 10, width=width)


def parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_equal_and_the_network_is_smaller(name):
    shape, width = MODELS[name]
    model = disturbed(network(name, shape, width)).double().eval()
    ticket = channel_ticket(model, shape, 0.3)
    masked = ticket.apply(copy.deepcopy(model))
    small = shrink(model, ticket)
    x = torch.randn(5, *shape, dtype=torch.float64)
    torch.testing.assert_close(small(x), masked(x), rtol=1e-9, atol=1e-9)
    assert type(small) is type(model)
    sizes = dict(small.named_parameters())
    assert sum(sizes[n].numel() for n in ticket.masks) == ticket.kept
    assert parameters(small) < parameters(model)
    single, whole = small.float()(x.float()), masked.float()(x.float())
    # Sums of other lengths round differently: to a few units of the last place of the largest output.
    torch.testing.assert_close(single, whole, rtol=0.0, atol=3e-5 * float(whole.detach().abs().max()))


@pytest.mark.parametrize("name", ["Depthwise", "Heads", "Scaled"])
def test_unusual_networks_shrink_too(name, networks):
    torch.manual_seed(0)
    model = disturbed(networks[name]()).eval()
    ticket = channel_ticket(model, (1, 8, 8), 0.7)
    small = shrink(model, ticket)
    x = torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(small(x), ticket.apply(model)(x), rtol=1e-5, atol=1e-6)
    assert parameters(small) < parameters(model)


class Recurrent(nn.Module):
    """Linear layers around recurrent ones; what is read of them differs."""

    def __init__(self, kind=nn.LSTM, read="last", given=False, **settings):
        super().__init__()
        self.first, self.cells = nn.Linear(8, 12), kind(12, 10, **settings)
        width = self.cells.proj_size or 10
        self.hidden, self.out = nn.Linear((1 + self.cells.bidirectional) * width, 14), nn.Linear(14, 3)
        self.read, self.given = read, given

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = x if self.cells.batch_first else x.transpose(0, 1)
        halves = 1 + self.cells.bidirectional
        start = x.new_zeros(halves * self.cells.num_layers, x.shape[1 - self.cells.batch_first], 10)
        out, states = self.cells(x, (start, start)) if self.given else self.cells(x)
        if self.read == "last":
            x = out[:, -1] if self.cells.batch_first else out[-1]
        elif self.read == "memory":  # of an LSTM, in the last layer
            x = states[1][-halves:].transpose(0, 1).flatten(1)
        else:  # the states of the first layer, added to the outputs
            x = states[:halves].transpose(0, 1).flatten(1) + out.mean(1 if self.cells.batch_first else 0)
        return self.out(torch.relu(self.hidden(x)))


def test_a_search_prunes_the_units_of_an_lstm_and_says_what_it_cannot():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(120, 5, 8, generator=generator)
    data, made = (x, x[:, -1, :3].argmax(1)), Recurrent(batch_first=True)
    training = Training(epochs=1, batch_size=20)
    ticket = nets.find_ticket(made, data, budget="flops:0.4", training=training)
    assert 0.3 < ticket.metadata["flops_density"] <= 0.4
    small = nets.shrink(ticket.apply(made), ticket)
    assert small.cells.hidden_size < 10
    torch.testing.assert_close(small(x), made(x), rtol=1e-5, atol=1e-6)
    with pytest.warns(UserWarning, match="cells stays whole, .* an initial state is given to it"):
        nets.find_ticket(Recurrent(given=True), data, density=0.98, granularity="channel", training=training)


class Upwards(nn.Module):
    """Grouped and transposed convolutions, and one that is both."""

    def __init__(self):
        super().__init__()
        self.first, self.grouped = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1, groups=4)
        self.up, self.norm = nn.ConvTranspose2d(16, 12, 2, stride=2), nn.BatchNorm2d(12)
        self.both, self.out = nn.ConvTranspose2d(12, 12, 2, groups=3), nn.Conv2d(12, 2, 1)

    def forward(self, x):
        x = self.norm(self.up(torch.relu(self.grouped(torch.relu(self.first(x))))))
        return self.out(torch.relu(self.both(torch.relu(x)))).mean((2, 3))


@pytest.mark.parametrize(
    ("kind", "shape", "whole"),
    [
        (partial(Recurrent, batch_first=True), (5, 8), set()),
        (partial(Recurrent, nn.GRU, "states", num_layers=2, bidirectional=True), (5, 8), set()),
        (partial(Recurrent, nn.LSTM, "memory", num_layers=2, bias=False), (5, 8), set()),
        (partial(Recurrent, nn.RNN, bidirectional=True), (5, 8), set()),
        (
            partial(Recurrent, given=True),
            (5, 8),
            {"first.weight", "cells.weight_ih_l0", "cells.weight_hh_l0"},
        ),
        (
            partial(Recurrent, proj_size=4),
            (5, 8),
            {"first.weight", "cells.weight_ih_l0", "cells.weight_hh_l0", "cells.weight_hr_l0"},
        ),
        (Upwards, (1, 6, 6), set()),
    ],
)
@pytest.mark.filterwarnings("ignore:cells stays whole:UserWarning", "ignore:LSTM with projections")
def test_recurrent_and_transposed_layers_shrink_and_what_is_not_coupled_stays(kind, shape, whole):
    torch.manual_seed(0)
    model = disturbed(kind()).double().eval()
    layout = Layout.of(model, maskable(model, units=True))
    channels = Channels(model, layout, torch.randn(1, *shape, dtype=torch.float64), "channel:flops")
    scores = torch.rand(channels.units, generator=torch.Generator().manual_seed(1))
    mask = channels.expand(channels.choose(scores, channels.count(0.98 if whole else 0.5)))
    told = {"granularity": "channel", "input_shape": list(shape)}
    ticket = Ticket({name: m.clone() for name, m in layout.split(mask).items()}, model.state_dict(), told)
    small = shrink(model, ticket)
    x = torch.randn(4, *shape, dtype=torch.float64)
    torch.testing.assert_close(small(x), ticket.masked(model)(x), rtol=1e-9, atol=1e-9)
    own = {name: p.shape for name, p in model.named_parameters() if p.dim() > 1}
    assert {name for name, p in small.named_parameters() if p.shape == own.get(name)} == whole


def test_heads_are_gone():
    model = network("vit-lite-2", (1, 8, 8), 1 / 4).eval()
    ticket = channel_ticket(model, (1, 8, 8), 0.5)
    small = shrink(model, ticket)
    width = model.blocks[0].attention.head_width
    heads = [block.attention.output.in_features // width for block in small.blocks]
    assert min(heads) >= 1
    assert sum(heads) < 8
    assert small.patches.out_channels == model.patches.out_channels


def test_a_retrained_ticket_shrinks_trains_on_and_is_saved(blobs, conv_net, tmp_path):
    training = Training(epochs=2, batch_size=40, lr=0.05)
    ticket = nets.find_ticket(
        conv_net(), blobs, "concave", density=0.3, training=training, granularity="channel"
    )
    trained = nets.retrain(ticket, conv_net(), blobs, training=training)
    small = nets.shrink(trained.model, ticket)
    x = blobs.normalise(blobs.x_test)
    torch.testing.assert_close(small.eval()(x), trained.model.eval()(x), rtol=1e-5, atol=1e-6)
    torch.save(small.state_dict(), tmp_path / "small.pt")
    other = nets.shrink(conv_net(1), ticket)
    other.load_state_dict(torch.load(tmp_path / "small.pt", weights_only=True))
    assert torch.equal(other.eval()(x), small(x))
    again = nets.retrain(None, small, blobs, training=training)
    assert parameters(again.model) == parameters(small)


def test_masks_attached_to_the_network_are_made_permanent(blobs, conv_net):
    ticket = channel_ticket(conv_net(), (1, 8, 8), 0.4)
    model = ticket.attach(conv_net()).eval()
    small = shrink(model, ticket)
    assert not hasattr(small.conv, "parametrizations")
    x = torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(small(x), model(x), rtol=1e-5, atol=1e-6)


def test_dead_neurons_of_a_ticket_of_single_weights_go(blobs, conv_net):
    model = disturbed(conv_net()).eval()
    ticket = nets.find_ticket(model, blobs, "magnitude", density=0.1, training=Training(epochs=1))
    masks = {name: m.clone() for name, m in ticket.masks.items()}
    masks["out.weight"][:, 3] = False  # neuron 3 is not read, and channel 0 is read by neuron 3 alone
    masks["hidden.weight"][:, :4] = False
    masks["hidden.weight"][3, :4] = True
    ticket = Ticket(masks, model.state_dict())
    with pytest.raises(ValueError, match="give x, a batch"):
        shrink(model, ticket)
    x = torch.randn(5, 1, 8, 8)
    small = shrink(model, ticket, x)
    torch.testing.assert_close(small(x), ticket.apply(model)(x), rtol=1e-5, atol=1e-6)
    assert small.conv.out_channels <= 5
    assert small.hidden.out_features <= 11


def test_a_layer_that_is_dead_altogether_keeps_a_unit(conv_net):
    model = disturbed(conv_net()).eval()
    masks = {
        n: torch.ones_like(p, dtype=torch.bool) for n, p in model.named_parameters() if n in maskable(model)
    }
    masks["out.weight"][:] = False
    ticket = Ticket(masks, model.state_dict())
    x = torch.randn(5, 1, 8, 8)
    small = shrink(model, ticket, x)
    assert torch.equal(small(x), torch.zeros(5, 3))
    assert small.hidden.out_features == 1


def test_the_ticket_of_another_network_is_refused(conv_net):
    ticket = channel_ticket(build("lenet-300-100", (1, 8, 8), 10), (1, 8, 8), 0.5)
    with pytest.raises(ValueError, match="for another network"):
        shrink(conv_net(), ticket)
