import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concave_sparsity import MCP, Log
from nets import Play
from nets.runs.canonical import (
    VERSION,
    address,
    canonical,
    canonical_text,
    complete,
    dense_of,
    from_form,
    settled,
)

#: Literal addresses: folders of runs made yesterday must be found tomorrow. If a change of this library makes
#: a run compute something else, raise canonical.VERSION (for one method its `Method.revision`) and
#: renew these; otherwise they must not change.
PINNED = {
    "893bff524e696944e334ef7bc272bf86": {},
    "dd7b779b98c7c072ce6ab680a1b9e858": {"density": 0.02, "seed": 3},
    "062b8e27b96c51fe61cb63c279f01e90": {
        "method": "imp",
        "density": 0.1,
        "rewind": 100,
        "options": {"keep": 0.7},
    },
    "4d8f7bafc47a6a45591d4d8ddfd4f6cf": {"data": "mnist", "penalty": "mcp(2)", "epochs": 7},
    "4cad02fd221827f8c72142fead23afe5": {"method": "dense"},
}

#: Defaults that the canonical form leaves out. Changing one changes what old addresses mean: raise VERSION.
DEFAULTS = {
    "optimiser": "sgd",
    "momentum": 0.9,
    "nesterov": False,
    "weight_decay": 0.0,
    "schedule": "one-cycle",
    "warm_up": 0.0,
    "milestones": (0.5, 0.75),
    "lr_factor": 0.1,
    "label_smoothing": 0.0,
    "data": "digits",
    "model": "lenet-300-100",
    "method": "concave",
    "penalty": "log(0.02)",
    "density": 0.05,
    "rewind": 0,
    "search_epochs": 0,
    "seed": 0,
    "data_seed": 0,
    "include": (),
    "exclude": (),
    "granularity": "weight",
    "options": (),
}


@pytest.mark.parametrize(("pinned", "fields"), PINNED.items())
def test_addresses_do_not_change(pinned, fields):
    assert VERSION == 1
    assert address(Play(**fields)) == pinned


def test_the_canonical_text_is_pinned():
    said = (
        '"batch_size":64,"density":0.02,"epochs":20,"kind":"play","lr":0.1,"revision":2,"seed":3,"version":1'
    )
    text = "{" + said + "}"
    assert canonical_text(Play(density=0.02, seed=3)) == text


def test_defaults_that_are_left_out_do_not_change():
    fields = {f.name: f.default for f in dataclasses.fields(Play) if f.compare}
    assert {name: fields[name] for name in DEFAULTS} == DEFAULTS


def test_defaults_are_left_out_and_usual_values_are_not():
    form = canonical(Play())
    assert set(form) == {"version", "kind", "revision", "epochs", "batch_size", "lr"}
    assert canonical(Play(epochs=20)) == form
    assert canonical(Play(epochs=21)) != form


def test_where_a_run_is_computed_is_not_what_it_is():
    assert address(Play(device="cuda:1", data_dir="/somewhere")) == address(Play())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"penalty": Log(0.02)}, {"penalty": "log(0.02)"}),
        ({"penalty": "log(eps=0.02)"}, {}),
        ({"penalty": "MCP( 2.0 )"}, {"penalty": MCP(2)}),
        ({"method": "imp", "penalty": "mcp(2)"}, {"method": "imp"}),
        ({"method": "IMP"}, {"method": "imp"}),
        ({"density": 1}, {"density": 1.0}),
        ({"lr": 1}, {"lr": 1.0}),
        ({"data": "Digits", "epochs": 3, "batch_size": 64, "lr": 0.1}, {"epochs": 3}),
        ({"method": "imp", "options": {"keep": 0.8}}, {"method": "imp"}),
        ({"method": "imp", "options": {"keep": "0.7"}}, {"method": "imp", "options": {"keep": 0.7}}),
        ({"method": "dense", "density": 0.3}, {"method": "dense"}),
        ({"method": "dense", "include": "*.weight"}, {"method": "dense"}),
        ({"search_epochs": 20}, {}),
        ({"milestones": [0.5, 0.75]}, {}),
    ],
    ids=str,
)
def test_equal_runs_have_equal_addresses(one, other):
    assert settled(Play(**one)) == settled(Play(**other))
    assert address(Play(**one)) == address(Play(**other))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"data_seed": 1},
        {"density": 0.051},
        {"penalty": "log(0.03)"},
        {"method": "l1"},
        {"search_epochs": 3},
        {"options": {"descent": 0.3}},
        {"include": "1.weight"},
        {"momentum": 0.8},
        {"model": "package.module:factory"},
    ],
    ids=str,
)
def test_different_runs_have_different_addresses(change):
    assert address(Play(**change)) != address(Play())


plays = st.builds(
    Play,
    epochs=st.integers(1, 50),
    lr=st.floats(1e-6, 10),
    density=st.floats(0.001, 1),
    seed=st.integers(0, 2**40),
    method=st.sampled_from(["concave", "imp", "random", "dense", "l1"]),
    penalty=st.sampled_from(["log(0.02)", "mcp(2)", "l1", "lq(0.5)"]),
    rewind=st.integers(0, 100),
    milestones=st.lists(st.floats(0, 1), max_size=3),
    exclude=st.lists(st.text("abc.*", min_size=1), max_size=2),
    model=st.sampled_from(["lenet-300-100", "a.b:c"]),
)


@given(plays)
def test_the_form_is_read_back(play):
    text = canonical_text(play)
    again = from_form(json.loads(text))
    assert again == settled(play)
    assert canonical_text(again) == text
    assert text.isascii()


def test_one_dense_run_serves_all_methods():
    plays = [
        Play(method="imp", rewind=50, options={"keep": 0.5}, seed=2),
        Play(method="concave", penalty="mcp(2)", density=0.01, search_epochs=3, seed=2),
        Play(method="random", include="1.weight", seed=2),
    ]
    assert len({address(dense_of(play)) for play in plays}) == 1
    assert address(dense_of(plays[0])) != address(dense_of(Play(seed=3)))


def test_complete_settings_tell_the_defaults_of_the_method():
    assert complete(Play(method="imp"))["options"]["keep"] == 0.8
    assert complete(Play(method="imp", options={"keep": 0.7}))["options"]["keep"] == 0.7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "os.system"}, "describes a play"),
        ({"kind": ["play"]}, "describes a play"),
        ({"kind": None}, "describes a play"),
        ({"version": 2}, "version 2"),
        ({"version": True}, "version True"),
        ({"revision": None}, "revision 0 of method concave; this library has revision 2"),
        ({"revision": 9}, "revision 9 of method concave"),
        ({"revision": True}, "revision True of method concave"),
        ({"method": "imp"}, "revision 2 of method imp; this library has revision 0"),
        ({"version": "1"}, "version '1'"),
        ({"densty": 0.1}, r"did you mean 'density'"),
        ({"__class__": "subprocess.Popen"}, "no field"),
        ({"density": "0.1"}, "density must be a number"),
        ({"density": True}, "density must be a number"),
        ({"density": 2.0}, r"density must be in \(0, 1\]"),
        ({"epochs": 1.5}, "epochs must be a whole number"),
        ({"seed": {"$call": "os.system"}}, "seed must be a whole number"),
        ({"options": {"keep": {"a": 1}}}, "options must be"),
        ({"options": [["keep"]]}, "options must be"),
        ({"milestones": "0.5"}, "milestones must be"),
        ({"include": [1]}, "include must be text"),
        ({"nesterov": 1}, "nesterov must be true or false"),
    ],
    ids=str,
)
def test_a_forged_form_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        from_form({**canonical(Play()), **change})


@pytest.mark.parametrize("form", [None, [], "play", 3])
def test_what_is_no_object_is_refused(form):
    with pytest.raises(ValueError, match="JSON object"):
        from_form(form)


def test_a_subclass_is_no_run():
    class Other(Play):
        pass

    with pytest.raises(TypeError, match="a run is a play, got Other"):
        canonical(Other())
