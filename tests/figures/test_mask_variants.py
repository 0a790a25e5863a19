"""The harness of the variants: without a change it is the default method, with one it is not."""

import torch

from concave_sparsity import Log
from figures import front, mask_variants
from figures.mask_variants import VARIANTS, Variant, method_of
from nets import Play, Training, find_ticket
from nets.analysis.controls import overlap
from nets.runs.canonical import address, settled

TRAINING = Training.usual("digits", epochs=3, batch_size=16, lr=0.01)


def found(method):
    given = {"density": 0.05, "penalty": Log(0.02), "training": TRAINING, "seed": 1}
    return find_ticket("lenet-300-100", "digits", method, **given)


def test_without_a_change_it_finds_the_ticket_of_the_default():
    # the default steps in one pass, which rounds otherwise; a small rate keeps that from growing
    assert overlap(found(method_of(Variant())), found("concave")) > 0.98


def test_a_change_finds_another_ticket_of_the_same_size():
    default, varied = found(method_of(Variant())), found(method_of(Variant(power=0.0, leak=0.2)))
    assert varied.kept == default.kept
    assert overlap(varied, default) < 0.9


def test_every_variant_changes_something_that_exists():
    for changes, penalty in VARIANTS.values():
        assert torch.isfinite(penalty.value(torch.tensor([0.5]))).all()
        assert Variant(**changes) != Variant() or not changes


def test_every_stored_row_is_of_a_known_variant():
    rows = mask_variants.stored.read("mask_variants")["rows"]
    assert {row["variant"] for row in rows} <= set(VARIANTS)
    assert all(0 < row["validation"] <= 1 for row in rows)


def test_the_front_reads_plays_of_the_usual_training_from_the_comparison_of_all_methods():
    usual = Play(data="mnist", model="lenet-300-100", method="imp", density=0.02, seed=1)
    here = front.GROUNDS["mnist"].play(front.Setting("imp", 5), 0.02, 1)
    assert address(settled(here)) == address(settled(usual))
