"""Public names of the package: loaded when first used, whatever was imported before."""

import pkgutil

import nets


def test_no_module_hides_a_public_name():
    """An imported module is an attribute of the package and would hide a function of the same name."""
    modules = {module.name for module in pkgutil.iter_modules(nets.__path__)}
    assert "lottery" in modules
    assert not modules & set(nets.__all__)


def test_every_public_name_can_be_had():
    for name in nets.__all__:
        assert getattr(nets, name).__module__.startswith("nets.")
