"""What is known by name, in every registry; and objects by import path."""

import math
import sys

import pytest
import torch
from torch import nn

import nets
from concave_sparsity import Log
from concave_sparsity import registry as naming
from concave_sparsity.penalty_text import parse_penalty
from concave_sparsity.registry import import_object, is_import_path
from nets import Play, Training, registry
from nets.methods import Method, method, method_text
from nets.methods.initialisation import RANDOM
from nets.models import build
from nets.runs.canonical import address, canonical

REGISTRIES = (
    registry.methods,
    registry.models,
    registry.data_sets,
    registry.penalties,
    registry.tasks,
    registry.granularities,
    registry.optimisers,
    registry.schedules,
)


@pytest.mark.parametrize("spec", ["package:name", "package.module:name", "package.module:Class.method"])
def test_import_paths(spec):
    assert is_import_path(spec)


@pytest.mark.parametrize(
    "spec", ["digits", "a/b:c", "C:\\data", "module:", ":name", "module:na-me", "http://x"]
)
def test_other_texts(spec):
    assert not is_import_path(spec)
    with pytest.raises(ValueError, match="must have the form"):
        import_object(spec)


def test_objects_are_found():
    assert import_object("math:pi") > 3
    assert import_object("collections:OrderedDict.fromkeys")("ab")


def test_modules_of_the_working_folder_are_found(tmp_path, monkeypatch):
    (tmp_path / "a_module_of_the_user.py").write_text("answer = 42\nimport a_module_that_is_not_there\n")
    (tmp_path / "another_module_of_the_user.py").write_text("answer = 42\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    assert import_object("another_module_of_the_user:answer") == 42
    # An error inside the user's module is theirs to see, not to be called a missing module.
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        import_object("a_module_of_the_user:answer")


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="there is no module 'no_such_package'"):
        import_object("no_such_package.module:name")
    with pytest.raises(ValueError, match="module 'math' has no 'tau_squared'"):
        import_object("math:tau_squared")


@pytest.mark.parametrize("known", REGISTRIES, ids=lambda known: known.plural)
def test_every_registry_finds_hints_and_takes_ones_own(known):
    first = known.names()[0]
    assert known.find(f" {first.upper().replace('-', '_')} ") is known.find(first)
    assert first in known
    with pytest.raises(ValueError, match=rf"unknown {known.singular} '{first}x' .did you mean '{first}'"):
        known.find(f"{first}x")
    with pytest.raises(ValueError, match=f"the {known.plural} are {first}, .*, or give"):
        known.find("surely-none")
    assert known.find("math:tau") == math.tau

    def cell():
        @known.register("Of_My_Own")
        def own():
            return 42

        return own

    cell()
    own = cell()  # run again, as a notebook's cell
    try:
        assert known.find("of-my-own") is own
        assert known.names()[-1] == "of-my-own"
        with pytest.raises(ValueError, match="already; give yours another name"):
            known.register("of-my-own", print)
        with pytest.raises(ValueError, match="already; give yours another name"):
            known.register("of-my-own", lambda: 42)
    finally:
        known.forget("of-my-own")
    with pytest.raises(ValueError, match="already; give yours another name"):
        known.register(first, own)
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        known.register("of my own!", own)


@pytest.mark.parametrize("known", REGISTRIES, ids=lambda known: known.plural)
def test_packages_bring_their_own_by_entry_points(known, monkeypatch):
    class Point:
        name, loaded = "Brought_Along", 0

        def load(self):
            return "what it is"

    asked = []

    def entry_points(group):
        asked.append(group)
        return [Point()]

    naming._entry_points.cache_clear()
    monkeypatch.setattr(naming, "entry_points", entry_points)
    try:
        assert known.find("brought-along") == "what it is"
        assert "brought-along" in known.names()
        assert set(asked) == {f"concave_sparsity.{known.plural.replace(' ', '_')}"}
    finally:
        naming._entry_points.cache_clear()


def narrow(input_shape, n_classes):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(input_shape), 8), nn.ReLU(), nn.Linear(8, n_classes)
    )


def momentum(parameters, training):
    return torch.optim.SGD(parameters, lr=training.lr, momentum=0.5)


def triangle(share):
    return 1 - abs(2 * share - 1)


def find(search):
    return RANDOM.find(search)


METHOD = Method(
    name="mine",
    summary="random, by another name",
    reference="nobody",
    find=find,
    cost=lambda density, epochs, options: 0.0,
    options=RANDOM.options,
    chain=True,
    revision=3,
)
HERE = "tests.nets.test_registry"


def test_a_play_of_nothing_but_ones_own():
    settings = {"model": f"{HERE}:narrow", "optimiser": f"{HERE}:momentum", "schedule": f"{HERE}:triangle"}
    result = nets.play(Play(method=METHOD, epochs=2, density=0.5, **settings))
    assert result.play.method == f"{HERE}:METHOD"
    assert result.test_accuracy > 0.3
    assert Training(schedule=f"{HERE}:triangle") != Training()


def test_registered_names_serve_everywhere():
    registry.models.register("narrow", narrow)
    registry.penalties.register("sharp", lambda eps=0.5: Log(eps / 10))
    registry.data_sets.register("few-digits", lambda: nets.data.load("digits").subset(100))
    try:
        assert isinstance(build("narrow", (1, 8, 8), 10), nn.Sequential)
        assert parse_penalty("sharp(0.2)") == Log(0.02)
        assert nets.data.load("few-digits").n_train == 100
        assert nets.play(Play(data="few-digits", model="narrow", method="snip", epochs=1)).kept > 0
    finally:
        for known, name in ((registry.models, "narrow"), (registry.penalties, "sharp")):
            known.forget(name)
        registry.data_sets.forget("few-digits")


def test_methods_of_ones_own_are_compared_with_options_for_each():
    comparison = nets.compare(
        methods=[METHOD, "magnitude"],
        densities=(0.5,),
        seeds=1,
        workers=1,
        model=f"{HERE}:narrow",
        epochs=1,
        options={"magnitude": {"distribution": "erk"}},
    )
    assert [r.play.method for r in comparison.results] == [f"{HERE}:METHOD", "magnitude"]
    assert comparison.results[1].play.options == (("distribution", "erk"),)
    assert comparison.table()[0]["method"] == f"{HERE}:METHOD"
    with pytest.raises(ValueError, match="options of method imp, which is not compared"):
        nets.compare(methods=["random"], options={"imp": {"keep": 0.5}})
    with pytest.raises(ValueError, match="has no option 'kepp'"):
        nets.compare(methods=["imp"], options={"imp": {"kepp": 0.5}})


def test_a_revision_lives_with_its_method():
    assert canonical(Play(method=METHOD))["revision"] == 3
    assert address(Play(method=METHOD)) == address(Play(method=f"{HERE}:METHOD"))
    for name in registry.methods:
        assert registry.revision(name) == method(name).revision
        assert registry.needs(name) == method(name).needs


def test_a_method_that_no_module_holds_is_known_in_this_process():
    local = Method(name="local", summary="", reference="", find=lambda search: (), cost=lambda d, e, o: 0.0)
    try:
        assert method_text(local) == "local"
        assert method("local") is local
        assert registry.methods.is_local("local")
        assert not registry.methods.is_local("concave")
        assert method_text(method("concave")) == "concave"
    finally:
        registry.methods.forget("local")
    with pytest.raises(ValueError, match="is a float, not a nets"):
        method("math:pi")
