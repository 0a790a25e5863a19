"""Forms of the relaxed mask: which options make which, and which do not go together."""

import pytest

from concave_sparsity import Log
from nets.concave_masks import DualAscent, Given, GradientUpdate, ProximalUpdate, Sigmoid, TrainedMask
from nets.concave_masks.forms import OPTIONS, PRESETS, relaxed_mask, with_preset
from nets.relaxed_mask import RelaxedMask

DEFAULTS = {option.name: option.default for option in OPTIONS}


def made(**options):
    return relaxed_mask(DEFAULTS | options, Log(0.1), 0.1)


def test_the_default_is_the_metric_of_the_curvature():
    assert isinstance(made(), RelaxedMask)
    assert isinstance(made(update="curvature", lam=0.1), RelaxedMask)


def test_parts_follow_the_options():
    assert isinstance(made(lam=0.1).update, ProximalUpdate)
    assert isinstance(made(lam=0.1).law, Given)
    assert isinstance(made(relaxation="sigmoid").relaxation, Sigmoid)
    assert type(made(relaxation="sigmoid").update) is GradientUpdate
    assert isinstance(made(update="gradient", law="dual-ascent").law, DualAscent)
    assert isinstance(made(update="gradient"), TrainedMask)
    assert made(update="gradient", reweight="epoch").slopes.refresh == "epoch"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"update": "newton"}, "update must be one of auto, curvature, gradient, proximal, got 'newton'"),
        ({"relaxation": "tanh"}, "relaxation must be one of clipped, sigmoid, got 'tanh'"),
        ({"relaxation": "sigmoid", "update": "proximal"}, "a sigmoid is trained by gradients"),
        ({"law": "pid", "update": "gradient"}, "law must be one of quantile, dual-ascent, got 'pid'"),
        ({"reweight": "epoch", "update": "proximal"}, "option reweight=epoch belongs to update=gradient"),
        ({"step": 3.0}, "option step belongs to the updates gradient and proximal, got 3.0 with curvature"),
        ({"trained": "mask"}, "option trained belongs to the updates gradient and proximal"),
        ({"optimiser": "lion", "update": "gradient"}, "optimiser must be one of sgd, momentum, adam"),
    ],
)
def test_what_does_not_go_together(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        made(**options)


def test_a_preset_fills_what_is_at_its_default():
    paper = with_preset(DEFAULTS | {"preset": "paper"})
    assert {name: paper[name] for name in PRESETS["paper"]} == PRESETS["paper"]
    own = with_preset(DEFAULTS | {"preset": "paper", "lam": 1e-3, "rounds": 2})
    assert (own["lam"], own["rounds"], own["update"]) == (1e-3, 2, "gradient")
    assert with_preset(own) == own
    assert with_preset(DEFAULTS) == DEFAULTS


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="preset must be one of paper, paper-steered, got 'thesis'"):
        with_preset(DEFAULTS | {"preset": "thesis"})
