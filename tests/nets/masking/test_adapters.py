"""Masks in trainings of Lightning, Hugging Face and accelerate, each with the real package if it is there."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import nets

pytestmark = pytest.mark.filterwarnings("ignore")


def points():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(128) % 3
    return torch.randn(3, 20, generator=generator)[y] + torch.randn(128, 20, generator=generator), y


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 24), nn.ReLU(), nn.Linear(24, 3))


@pytest.mark.slow
def test_lightning_trains_under_a_mask_and_resumes(tmp_path):
    lightning = pytest.importorskip("lightning")
    from nets.masking.lightning_callback import MaskingCallback

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()

        def training_step(self, batch, index):
            return cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=5e-3)

    def fit(epochs, path=None, steps=40):
        module, callback = Module(), MaskingCallback(density=0.1, steps=steps)
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            callbacks=[callback],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            gradient_clip_val=1.0,
        )
        loader = DataLoader(TensorDataset(*points()), batch_size=16)
        trainer.fit(module, loader, ckpt_path=path)
        return trainer, callback.masking

    _, whole = fit(5)
    assert whole.step == 40
    ticket = whole.ticket()
    assert ticket.kept == round(0.1 * ticket.total)
    assert set(ticket.masks) == {"net.0.weight", "net.2.weight"}
    trainer, _ = fit(2)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    _, resumed = fit(5, tmp_path / "half.ckpt")
    assert all(torch.equal(mask, resumed.ticket().masks[name]) for name, mask in ticket.masks.items())


@pytest.mark.slow
def test_a_callback_that_has_resumed_begins_the_next_training_anew():
    pytest.importorskip("lightning")
    from nets.masking.lightning_callback import MaskingCallback

    module, (x, y) = network(), points()
    optimiser = torch.optim.AdamW(module.parameters())
    trainer = SimpleNamespace(optimizers=[optimiser], estimated_stepping_batches=8)
    callback = MaskingCallback(density=0.5)
    callback.on_train_start(trainer, module)
    for _ in range(3):
        cross_entropy(module(x), y).backward()
        optimiser.step()
    callback.load_state_dict(callback.state_dict())
    callback.on_train_start(trainer, module)
    assert callback.masking.step == 3
    callback.on_train_start(trainer, module)
    assert callback.masking.step == 0


@pytest.mark.slow
def test_a_hugging_face_trainer_trains_under_a_mask_and_resumes(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from nets.masking.trainer_callback import MaskingTrainerCallback

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x, labels=None):
            logits = self.net(x)
            return {"loss": cross_entropy(logits, labels), "logits": logits}

    x, y = points()
    rows = [{"x": a, "labels": b} for a, b in zip(x, y)]

    def fit(folder, resume=None):
        callback = MaskingTrainerCallback(density=0.1)
        settings = transformers.TrainingArguments(
            output_dir=str(folder),
            max_steps=40,
            per_device_train_batch_size=16,
            save_steps=16,
            learning_rate=5e-3,
            report_to=[],
            use_cpu=True,
            seed=0,
        )
        trainer = transformers.Trainer(Classifier(), settings, train_dataset=rows, callbacks=[callback])
        trainer.train(resume_from_checkpoint=resume)
        return callback.masking

    whole = fit(tmp_path)
    assert whole.step == 40
    ticket = whole.ticket()
    assert ticket.kept == round(0.1 * ticket.total)
    resumed = fit(tmp_path, str(tmp_path / "checkpoint-16"))
    assert all(torch.equal(mask, resumed.ticket().masks[name]) for name, mask in ticket.masks.items())


def test_the_example_of_accelerate_finds_and_retrains_a_ticket(blobs, monkeypatch):
    pytest.importorskip("accelerate")
    path = Path(__file__).parents[3] / "examples" / "prune_with_accelerate.py"
    spec = importlib.util.spec_from_file_location("prune_with_accelerate", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example, "EPOCHS", 8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 3))
    masking = example.train(model, blobs, lambda m, o, steps: nets.Masking(m, o, density=0.1, steps=steps))
    assert masking.step == masking.steps == 32
    assert masking.density == pytest.approx(0.1, abs=0.02)
    ticket = masking.ticket()
    assert ticket.kept == round(0.1 * ticket.total)
    example.train(ticket.apply(model), blobs, lambda m, o, steps: ticket.hold(m, o))
    assert not any(model.get_parameter(name)[~mask].any() for name, mask in ticket.masks.items())
