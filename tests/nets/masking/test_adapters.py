"""Masks in trainings of Lightning, Hugging Face and accelerate, each with the real package if it is there."""

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


def test_accelerate_prepares_a_masked_training():
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)
    model = network()
    loader = DataLoader(TensorDataset(*points()), batch_size=16)
    model, optimiser, loader = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), 5e-3), loader)
    masking = nets.Masking(model, optimiser, density=0.1, steps=5 * len(loader))
    for _ in range(5):
        for x, y in loader:
            accelerator.backward(cross_entropy(model(x), y))
            optimiser.step()
            optimiser.zero_grad()
    ticket = masking.ticket()
    assert masking.density == pytest.approx(0.1, abs=0.02)
    hold = ticket.hold(model, optimiser)
    accelerator.backward(cross_entropy(model(x), y))
    optimiser.step()
    assert not accelerator.unwrap_model(model)[0].weight[~ticket.masks["0.weight"]].any()
    hold.remove()
