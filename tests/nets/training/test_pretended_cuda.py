"""What a GPU would refuse or wait for, looked for without one.

A CUDA device is pretended: everything is computed on the CPU, but tensors know where they would lie. The
pretence refuses what a GPU refuses (tensors of two devices in one operation, a generator of another device,
numpy on a tensor of the device) and notes what would wait for it (values read back).
"""

import contextlib
from dataclasses import replace
from unittest import mock

import pytest
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from concave_sparsity import Log
from nets import Play, Training
from nets.data import Augmentation, load
from nets.lottery import find_ticket, retrain
from nets.masking.course import SparseTraining
from nets.masking.relaxed_mask import RelaxedMask
from nets.methods import method, method_names
from nets.methods.concave import relaxed_mask
from nets.models import ARCHITECTURES, build
from nets.runs.execution import execute
from nets.runs.jobs import Job, Keeping
from nets.training.flat_model import FlatModel
from nets.training.loop import Hook, Loop

CUDA = torch.device("cuda", 0)
CPU = torch.device("cpu")
aten = torch.ops.aten

#: Operations that may read from one device and write to another.
COPIES = (aten.copy_.default, aten._to_copy.default)

#: Operations that hand a value, or a shape that depends on values, to the host.
WAITING = (
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "unique",
    "equal",
    "is_nonzero",
    "repeat_interleave.Tensor",
)


class Mixed(RuntimeError):
    """An operation that a GPU would refuse."""


class Generator(torch.Generator):
    """Stands for a generator of the device."""

    def __new__(cls, device="cpu"):
        generator = super().__new__(cls)
        generator.where = place(device)
        return generator

    @property
    def device(self):
        return self.where


def place(device):
    """Return the device with its index."""
    device = torch.device(device)
    return CUDA if device.type == "cuda" else CPU


class Places:
    """Where the memory of every tensor would lie; by address, for as long as the memory lives."""

    def __init__(self):
        self._places = {}

    def of(self, tensor):
        """Return the device of a tensor, None if it has no memory."""
        if not tensor.numel():
            return None
        reference, device = self._places.get(tensor.untyped_storage().data_ptr(), (None, CPU))
        return CPU if reference is None or reference.expired() else device

    def put(self, tensor, device):
        if tensor.numel():
            storage = tensor.untyped_storage()
            self._places[storage.data_ptr()] = StorageWeakRef(storage), device


class Following:
    """Follow every operation; inherited by the mode, or each would pass through torch's compiler first."""

    def __init__(self, places):
        super().__init__()
        self.places = places
        self.waits = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        large = {self.places.of(t) for t in tensors if t.dim()} - {None}
        numbers = {self.places.of(t) for t in tensors if not t.dim()} - {None}
        if func in COPIES:
            where = self.places.of(args[0]) or CPU
        else:
            if len(large) > 1 or (large == {CPU} and CUDA in numbers):
                found = ", ".join(f"{tuple(t.shape)} on {self.places.of(t)}" for t in tensors)
                raise Mixed(f"{func} of {found}")
            where = next(iter(large or numbers), CPU)
        if where == CUDA and any(name in str(func) for name in WAITING):
            self.waits.append(str(func))
        out = func(*args, **kwargs)
        old = {t.untyped_storage().data_ptr() for t in tensors if t.numel()}
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().data_ptr() not in old:
                self.places.put(tensor, where)
        return out


class Operations(Following, TorchDispatchMode):
    pass


class Names(TorchFunctionMode):
    """Translate what names a device."""

    def __init__(self, operations):
        super().__init__()
        self.operations = operations
        self.places = operations.places

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if func == torch.Tensor.device.__get__:
            return self.places.of(args[0]) or CPU
        if name in ("numpy", "__array__", "tolist") and self.places.of(args[0]) == CUDA:
            if name != "tolist":
                raise TypeError("can't convert cuda:0 device type tensor to numpy")
            self.operations.waits.append(name)
        if func in (torch.Tensor.cpu, torch.Tensor.cuda):
            return self.moved(args[0], place("cpu" if func is torch.Tensor.cpu else "cuda"))
        if func is torch.Tensor.to:
            return self.to(*args, **kwargs)
        asked, first = kwargs.get("device"), args[0] if args else None
        wanted = place(asked) if asked is not None else None
        if wanted is None and isinstance(first, torch.Tensor):
            wanted = self.places.of(first)
        generator = kwargs.get("generator")
        if generator is not None and generator.device != (wanted or CPU):
            raise Mixed(f"{name} on {wanted or CPU} with a generator of {generator.device}")
        if asked is not None:
            kwargs["device"] = CPU
        out = func(*args, **kwargs)
        if asked is not None or name.endswith("_like") or name.startswith("new_"):
            self.places.put(out, wanted or CPU)
        return out

    def to(self, tensor, *args, device=None, dtype=None, non_blocking=False, copy=False, **kwargs):
        for value in args:
            if isinstance(value, torch.Tensor):
                device, dtype = self.places.of(value) or CPU, value.dtype
            elif isinstance(value, torch.dtype):
                dtype = value
            elif isinstance(value, (str, torch.device)):
                device = value
        out = tensor.to(tensor.dtype if dtype is None else dtype, copy=copy, **kwargs)
        return out if device is None else self.moved(out, place(device))

    def moved(self, tensor, device):
        if self.places.of(tensor) in (None, device):
            return tensor
        if device == CPU:
            self.operations.waits.append("to cpu")
        out = tensor.clone()
        self.places.put(out, device)
        return out


@contextlib.contextmanager
def pretended_cuda():
    """Pretend a CUDA device and yield what follows the operations: its `waits` name those that waited."""
    operations = Operations(Places())
    states = {
        "get_rng_state": lambda device: torch.get_rng_state(),
        "set_rng_state": lambda state, device: None,
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(torch, "Generator", Generator))
        for name, value in states.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(operations)
        stack.enter_context(Names(operations))
        yield operations


FEW = Training(epochs=1, batch_size=30, lr=0.05, momentum=0.9)


@pytest.fixture(autouse=True)
def there(monkeypatch):
    """Let the library take the device for one that is there."""
    monkeypatch.setattr("nets.lottery.device_of", torch.device)


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(200) % 3
    x = torch.randn(200, 1, 8, 8, generator=generator) + y.view(-1, 1, 1, 1)
    return load((x, y), augmentation=Augmentation(pad=1, cutout=3))


def test_the_pretence_refuses_what_a_gpu_refuses():
    here = torch.ones(3)
    with pretended_cuda() as operations:
        there = torch.ones(3, device="cuda")
        assert there.device == CUDA
        assert (there * 2)[1:].device == CUDA
        assert (there + torch.tensor(1.0)).device == CUDA  # a number may come from the CPU
        assert torch.empty_like(there).device == here.to(there).device == here.to("cuda").device == CUDA
        for refused in (
            lambda: here + there,
            lambda: here + there.sum(),
            lambda: torch.cat([here, there]),
            lambda: there[torch.tensor([0, 1])],
            lambda: torch.rand(3, device="cuda", generator=torch.Generator()),
            lambda: there.bernoulli_(0.5, generator=torch.Generator()),
        ):
            with pytest.raises(Mixed):
                refused()
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert operations.waits == []
        assert there.sum().item() == 3
        assert there.cpu().device == torch.device("cpu")
        assert len(operations.waits) == 2
    assert here.device == torch.device("cpu")


def narrow(input_shape, n_classes):
    """Return a network of few units: layer-wise pruning calls operations for each, and each is followed."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 40), nn.ReLU(), nn.Linear(40, 20), nn.ReLU(), nn.Linear(20, n_classes)
    )


@pytest.mark.parametrize("name", method_names())
def test_every_method_finds_the_same_ticket_on_the_device(images, name):
    def found(device):
        ticket = find_ticket(narrow, images, name, density=0.1, training=FEW, device=device)
        return ticket, retrain(ticket, narrow, images, training=FEW, device=device)

    here = found("cpu")
    with pretended_cuda():
        there = found("cuda")
        assert {tensor.device for tensor in there[1].model.state_dict().values()} == {CUDA}
        assert {tensor.device.type for tensor in there[0].masks.values()} == {"cpu"}
    assert all(torch.equal(mask, there[0].masks[name]) for name, mask in here[0].masks.items())
    assert here[1].metrics == there[1].metrics
    assert here[1].test_accuracy == there[1].test_accuracy


OTHER_FORMS = {
    "gradient": {"update": "gradient"},
    "gradient, dual ascent": {"update": "gradient", "law": "dual-ascent", "optimiser": "sgd"},
    "proximal, adam": {"update": "proximal", "optimiser": "adam"},
    "proximal, lam given": {"lam": 1e-5, "trained": "alternating", "period": 2},
    "sigmoid": {"relaxation": "sigmoid", "reweight": "epoch"},
}


def other_form(**options):
    return relaxed_mask(method("concave").settle(options | {"interval": 1}), Log(0.1), 0.1)


@pytest.mark.parametrize("form", [{"rounds": 2}, {"lam": 1e-5, "update": "curvature"}, *OTHER_FORMS.values()])
def test_every_form_of_the_mask_finds_the_same_ticket_on_the_device(images, form):
    def found(device):
        settings = {"training": FEW, "density": 0.1, "penalty": Log(0.1), "options": form | {"interval": 2}}
        return find_ticket("lenet-300-100", images, device=device, **settings)

    here = found("cpu")
    with pretended_cuda():
        there = found("cuda")
    assert all(torch.equal(mask, there.masks[name]) for name, mask in here.masks.items())
    # On a processor a masked step is one pass of our own: how it rounds depends on the processor.
    assert there.metadata["report"] == pytest.approx(here.metadata["report"], rel=1e-5)


class Count(Hook):
    """Count at every step how often the device was waited for so far."""

    def __init__(self, operations):
        self.operations = operations
        self.counts = []

    def before_step(self, loop):
        self.counts.append(len(self.operations.waits))


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_no_step_of_another_form_waits_for_the_device(images, form):
    with pretended_cuda() as operations:
        data, count = images.to("cuda"), Count(operations)
        flat = FlatModel(build("lenet-300-100", data).to("cuda"))
        Loop(flat, data, FEW, seed=0, hooks=[count, other_form(**OTHER_FORMS[form])]).run()
    assert len(count.counts) > 2
    assert len(set(count.counts)) == 1


@pytest.mark.parametrize("changes", [{}, {"channels_last": True, "accumulate": 3}, {"optimiser": "adam"}])
@pytest.mark.parametrize("kind", ["dense", "search", "retraining"])
def test_no_step_waits_for_the_device(images, kind, changes):
    with pretended_cuda() as operations:
        data, count = images.to("cuda"), Count(operations)
        flat = FlatModel(build("resnet-20", data).to("cuda"))
        hooks = {
            "dense": [],
            "search": [RelaxedMask(Log(0.02), 0.1, interval=1)],
            "retraining": [SparseTraining(torch.arange(flat.n, device="cuda") % 10 == 0)],
        }[kind]
        Loop(flat, data, replace(FEW, **changes), seed=0, hooks=[count, *hooks]).run()
    assert len(count.counts) > 2
    assert len(set(count.counts)) == 1


@pytest.mark.parametrize("name", [name for name in sorted(ARCHITECTURES) if name != "wide-resnet-28-10"])
def test_every_network_trains_on_the_device(name):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(12, 3, 32, 32, generator=generator), torch.arange(12) % 2
    with pretended_cuda():
        data = load((x, y), augmentation=Augmentation()).to("cuda")
        flat = FlatModel(build(name, data, width=0.25).to("cuda"))
        Loop(flat, data, Training(epochs=1, batch_size=4, lr=0.01), seed=0).run()


class StopAt(Hook):
    watches_only = True

    def __init__(self, name, step):
        self.name, self.step = name, step

    def after_step(self, loop):
        if loop.name == self.name and loop.step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["search-0", "retrain"])
def test_a_run_on_the_device_is_kept_and_resumes(tmp_path, name):
    job = Job(
        Play(epochs=1, method="concave", density=0.1, device="cuda", optimiser="adam", batch_size=256), (0.1,)
    )
    found = []
    for folder, hooks in ((tmp_path / "whole", ()), (tmp_path / "interrupted", (StopAt(name, 3),))):
        keeping = Keeping(folder, interval=0.0)
        with pretended_cuda():
            with contextlib.suppress(KeyboardInterrupt):
                execute(job, keeping, hooks=hooks)
            (outcome,) = execute(job, keeping)
        assert outcome.computed == bool(hooks)
        network = (folder / outcome.address / "network.safetensors").read_bytes()
        found.append((network, outcome.row["test_accuracy"]))
    assert found[0] == found[1]
