"""Networks for other tools: equal outputs at any batch size, for permanent, shrunk, masked and tied ones."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import nets
from nets.tickets import Ticket


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(6, 6)
        self.decode = nn.Linear(6, 6)
        self.decode.weight = self.encode.weight

    def forward(self, x):
        return self.decode(torch.relu(self.encode(x)))


def cases(conv_net):
    """Return (network, ticket, x) of a convolutional network and one of tied weights."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for model, x in ((conv_net(), torch.randn(3, 1, 8, 8)), (Tied(), torch.randn(3, 6))):
        weights = {k: v.clone() for k, v in model.state_dict().items()}
        names = [n for n, p in model.named_parameters() if p.dim() > 1]
        masks = {n: torch.rand(weights[n].shape, generator=generator) < 0.4 for n in names}
        made.append((model, Ticket(masks, weights), x))
    return made


def read(path, form, x):
    """Return the outputs of a file in another tool."""
    if form == "onnx":
        onnxruntime = pytest.importorskip("onnxruntime")
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = torch.export.load(path).module() if form == "program" else torch.jit.load(path)
        return run(x).numpy()


@pytest.mark.parametrize("form", ["program", "torchscript", pytest.param("onnx", marks=pytest.mark.slow)])
def test_every_tool_computes_the_same(tmp_path, conv_net, form):
    write = getattr(nets.export, form)
    for model, ticket, x in cases(conv_net):
        wanted = ticket.masked(model).eval()
        attached = ticket.attach(type(model)()).eval()
        small = nets.shrink(model, ticket, x).eval()
        rewound = ticket.apply(type(model)()).eval()
        networks = [(attached, None, rewound), (model, ticket, wanted), (small, None, wanted)]
        for network, own, expected in networks:
            path = write(network, own, tmp_path / form, x=x)
            for part in (x[:1], x, torch.cat([x, x])):
                with torch.no_grad():
                    np.testing.assert_allclose(
                        read(path, form, part), expected(part).numpy(), rtol=1e-4, atol=1e-5
                    )


def test_onnx_of_a_shrunk_network(tmp_path, conv_net):
    """The quick part of the test above."""
    pytest.importorskip("onnxruntime")
    model, ticket, x = cases(conv_net)[0]
    small = nets.shrink(model, ticket, x).eval()
    path = nets.export.onnx(small, None, tmp_path / "small.onnx", x=x)
    with torch.no_grad():
        np.testing.assert_allclose(read(path, "onnx", x[:2]), small(x[:2]).numpy(), rtol=1e-4, atol=1e-5)


def test_a_file_that_computes_something_else_is_not_written(tmp_path, conv_net, monkeypatch):
    from nets.export import exchange

    model, ticket, x = cases(conv_net)[1]
    monkeypatch.setattr(torch.jit, "load", lambda file: lambda x: x + 1.0)
    with pytest.raises(ValueError, match="Tied as TorchScript gives other outputs on a batch of 1"):
        exchange.torchscript(model, ticket, tmp_path / "x", x=x)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="without a ticket the inputs are not known: give x"):
        exchange.program(model, None, tmp_path / "x")


def test_dynamic_quantisation_of_an_exported_network(conv_net):
    """torch turns linear layers to 8 bits; pruned weights stay zero."""
    model, ticket, x = cases(conv_net)[0]
    network = ticket.masked(model).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)
    with torch.no_grad():
        far = (quantised(x) - network(x)).abs().max()
    assert far < 0.05 * network(x).abs().max() + 0.05
    weight = quantised.hidden.weight().dequantize()
    assert (weight[~ticket.masks["hidden.weight"]] == 0).all()
