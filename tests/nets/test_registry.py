import sys

import pytest

from nets.registry import import_object, is_import_path


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
