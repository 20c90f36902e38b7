"""Extensions are found, loaded and named; what is wrong with one is told with its place."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from providers.extension import Extension, extension
from providers.registry import (
    ExtensionLoadError,
    Registry,
    UnknownExtensionError,
    find_extensions,
    load_module,
    load_path,
    metadata_of,
)

Write = Callable[[str, str], Path]


class Plugin(Extension):
    """A kind of extension that the gateway does not have: the registry is for any."""


@extension(name="alpha", version="1")
class Alpha(Plugin):
    pass


@extension(name="alpha", version="2")
class OtherAlpha(Plugin):
    pass


class Inherits(Alpha):
    pass


PLUGIN = """
from providers.extension import Extension, extension

@extension(name="{name}", version="1")
class {cls}(Extension):
    pass
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))

    def write(name: str, text: str) -> Path:
        file = tmp_path.resolve() / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    before = set(sys.modules)
    yield write
    for name in set(sys.modules) - before:
        if name.startswith("triway_"):
            del sys.modules[name]


# -- the registry


def test_gives_back_what_was_added() -> None:
    registry = Registry(Plugin, "plugin")
    registry.add(Alpha)
    assert registry.get("alpha") is Alpha
    assert list(registry.items()) == [("alpha", Alpha)]


def test_the_same_class_may_come_twice() -> None:
    registry = Registry(Plugin, "plugin")
    registry.add(Alpha)
    registry.add(Alpha)
    assert registry.names() == ["alpha"]


def test_a_name_belongs_to_one_class() -> None:
    registry = Registry(Plugin, "plugin")
    registry.add(Alpha)
    with pytest.raises(ExtensionLoadError) as caught:
        registry.add(OtherAlpha)
    assert str(caught.value) == f"plugin 'alpha' of {__name__}:OtherAlpha is already defined by {__name__}:Alpha"
    assert registry.get("alpha") is Alpha


def test_a_class_of_another_kind_is_refused() -> None:
    registry = Registry(Plugin, "plugin")
    with pytest.raises(ExtensionLoadError, match=r"Extension is no plugin: it does not extend .*:Plugin"):
        registry.add(Extension)


def test_a_class_without_metadata_of_its_own_is_refused() -> None:
    registry = Registry(Plugin, "plugin")
    with pytest.raises(ExtensionLoadError, match=r"Inherits is not declared with @extension"):
        registry.add(Inherits)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    registry = Registry(Plugin, "plugin", {"beta": "nowhere:Beta"})
    registry.add(Alpha)
    with pytest.raises(UnknownExtensionError) as caught:
        registry.get("Alpah")
    assert str(caught.value) == "unknown plugin type 'Alpah'; did you mean 'alpha'? known types: alpha, beta"
    with pytest.raises(UnknownExtensionError) as caught:
        Registry(Plugin, "plugin").get("x")
    assert str(caught.value) == "unknown plugin type 'x'; none is known"


def test_a_built_in_is_imported_when_it_is_asked_for(write: Write) -> None:
    write("installed/triway_built_in.py", PLUGIN.format(name="beta", cls="Beta"))
    registry = Registry(Extension, "plugin", {"beta": "triway_built_in:Beta"})
    assert registry.names() == ["beta"]
    assert "triway_built_in" not in sys.modules
    assert metadata_of(registry.get("beta")).name == "beta"  # type: ignore[union-attr]
    assert registry.get("beta") is sys.modules["triway_built_in"].Beta


def test_a_built_in_under_a_wrong_name_is_refused(write: Write) -> None:
    write("installed/triway_built_in.py", PLUGIN.format(name="beta", cls="Beta"))
    registry = Registry(Extension, "plugin", {"gamma": "triway_built_in:Beta"})
    with pytest.raises(ExtensionLoadError, match="triway_built_in:Beta does not declare the plugin 'gamma'"):
        registry.get("gamma")


def test_a_built_in_whose_dependency_is_missing_says_so(write: Write) -> None:
    file = write("installed/triway_built_in.py", "x = 1\nimport triway_not_installed\n")
    registry = Registry(Extension, "plugin", {"beta": "triway_built_in:Beta"})
    with pytest.raises(ExtensionLoadError) as caught:
        registry.get("beta")
    assert str(caught.value) == f"{file}:2: ModuleNotFoundError: No module named 'triway_not_installed'"


def test_the_name_of_a_built_in_cannot_be_taken(write: Write) -> None:
    registry = Registry(Plugin, "plugin", {"alpha": "nowhere:Alpha"})
    with pytest.raises(ExtensionLoadError, match="is already defined by nowhere:Alpha"):
        registry.add(Alpha)


def test_importing_the_registry_imports_no_built_in_provider() -> None:
    code = "import sys, providers.registry; print([m for m in sys.modules if m.startswith('providers.builtin.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- loading by path


def test_a_file_outside_of_any_package_is_imported(write: Write) -> None:
    module = load_path(write("ext/mine.py", PLUGIN.format(name="mine", cls="Mine")))
    (cls,) = find_extensions(module, [Extension])
    assert cls.metadata.name == "mine"


def test_a_file_is_run_once(write: Write) -> None:
    file = write("ext/mine.py", "runs = []\nruns.append(1)\n")
    assert load_path(file) is load_path(file.parent / ".." / "ext" / "mine.py")


@pytest.mark.parametrize("name", ["my-ext.py", "my ext.py", "my.ext.py", "1st.py"])
def test_a_file_s_name_need_not_be_a_python_name(write: Write, name: str) -> None:
    write("ext/my_ext.py", "value = 1\n")
    load_path(write("ext/my_ext.py", "value = 1\n"))
    assert load_path(write(f"ext/{name}", "value = 2\n")).value == 2


def test_files_of_one_name_in_two_folders_are_two_modules_with_helpers_of_their_own(write: Write) -> None:
    for folder, value in (("one", 1), ("two", 2)):
        write(f"{folder}/helper.py", f"value = {value}\n")
        write(f"{folder}/ext.py", "from . import helper\nfrom .helper import value\n")
    before = list(sys.path)
    first, second = (load_path(write(f"{name}/ext.py", "from .helper import value\n")) for name in ("one", "two"))
    assert (first.value, second.value) == (1, 2)
    assert sys.path == before


def test_a_sibling_is_the_same_module_however_it_is_loaded(write: Write) -> None:
    second = write("ext/second.py", PLUGIN.format(name="second", cls="Second"))
    first = load_path(write("ext/first.py", "from . import second\n"))
    assert load_path(second) is first.second


def test_types_that_look_up_their_module_work(write: Write) -> None:
    module = load_path(
        write(
            "ext/mine.py",
            """
            from __future__ import annotations
            import dataclasses, msgspec
            class Inner(msgspec.Struct):
                x: int
            class Outer(msgspec.Struct):
                inner: Inner
            @dataclasses.dataclass
            class Data:
                inner: Inner
            decoded = msgspec.json.decode(b'{"inner": {"x": 1}}', type=Outer)
            """,
        )
    )
    assert module.decoded.inner.x == 1


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("x = 1\nclass A(:\n", 2, "SyntaxError: invalid syntax"),
        ("def f():\n  pass\n pass\n", 3, "IndentationError: unindent does not match any outer indentation level"),
        ("x = 1\n\nimport triway_nothing\n", 3, "ModuleNotFoundError: No module named 'triway_nothing'"),
        ("from json import nothing\n", 1, "ImportError: cannot import name 'nothing' from 'json'"),
        ("def f():\n    raise ValueError('no')\nf()\n", 2, "ValueError: no"),
        ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError"),
        (
            "from providers.extension import extension\n\n@extension(name='A B', version='1')\nclass A: pass\n",
            3,
            "ValueError: extension name 'A B'",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(write: Write, text: str, line: int, message: str) -> None:
    file = write("ext/broken.py", text)
    with pytest.raises(ExtensionLoadError) as caught:
        load_path(file)
    assert str(caught.value).startswith(f"{file}:{line}: {message}")
    assert (caught.value.file, caught.value.line) == (str(file), line)


def test_what_is_wrong_in_a_sibling_is_told_there(write: Write) -> None:
    helper = write("ext/helper.py", "x = 1\nx = 1 / 0\n")
    with pytest.raises(ExtensionLoadError) as caught:
        load_path(write("ext/mine.py", "from . import helper\n"))
    assert str(caught.value) == f"{helper}:2: ZeroDivisionError: division by zero"


def test_an_absolute_import_of_a_sibling_is_answered_with_how_to_do_it(write: Write) -> None:
    write("ext/triway_helper.py", "x = 1\n")
    file = write("ext/mine.py", "import triway_helper\n")
    with pytest.raises(ExtensionLoadError) as caught:
        load_path(file)
    assert str(caught.value) == (
        f"{file}:1: ModuleNotFoundError: No module named 'triway_helper' "
        "(the file beside it is imported with 'from . import triway_helper')"
    )


def test_a_file_that_failed_is_run_again(write: Write) -> None:
    file = write("ext/mine.py", "1 / 0\n")
    with pytest.raises(ExtensionLoadError):
        load_path(file)
    write("ext/mine.py", "value = 'mended'\n")
    assert load_path(file).value == "mended"


def test_only_python_files_are_loaded(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ExtensionLoadError, match=r"does not exist"):
        load_path(tmp_path / "nothing.py")
    with pytest.raises(ExtensionLoadError, match=r"is a folder"):
        load_path(tmp_path)
    with pytest.raises(ExtensionLoadError, match=r"is not a \.py file"):
        load_path(write("ext/mine.txt", ""))


# -- loading by module


def test_an_installed_module_is_imported(write: Write) -> None:
    write("installed/triway_pkg/__init__.py", "from .inner import Inner\n__all__ = ['Inner']\n")
    write("installed/triway_pkg/inner.py", PLUGIN.format(name="inner", cls="Inner"))
    (cls,) = find_extensions(load_module("triway_pkg"), [Extension])
    assert cls.metadata.name == "inner"


@pytest.mark.parametrize("name", ["triway_nothing", "triway_nothing.inner"])
def test_a_module_that_is_not_installed_is_named(name: str) -> None:
    with pytest.raises(ExtensionLoadError) as caught:
        load_module(name)
    assert str(caught.value) == "no module named 'triway_nothing' is installed"


def test_what_is_wrong_in_a_module_is_told_with_its_line(write: Write) -> None:
    file = write("installed/triway_broken.py", "x = 1\nraise RuntimeError('no')\n")
    with pytest.raises(ExtensionLoadError) as caught:
        load_module("triway_broken")
    assert str(caught.value) == f"{file}:2: RuntimeError: no"


# -- finding


def test_only_what_a_module_defines_or_exports_is_found(write: Write) -> None:
    write("ext/other.py", PLUGIN.format(name="imported", cls="Imported") + PLUGIN.format(name="shown", cls="Shown"))
    module = load_path(
        write(
            "ext/mine.py",
            "from .other import Imported, Shown\n__all__ = ['Shown']\n"
            + PLUGIN.format(name="second", cls="Second")
            + PLUGIN.format(name="first", cls="First")
            + "class Plain(First): pass\nAgain = Second\nx = 1\n",
        )
    )
    assert [cls.metadata.name for cls in find_extensions(module, [Extension])] == ["shown", "second", "first"]


def test_a_module_without_extensions_is_an_error(write: Write) -> None:
    file = write("ext/mine.py", "class Plain: pass\n")
    with pytest.raises(ExtensionLoadError) as caught:
        find_extensions(load_path(file), [Extension])
    assert str(caught.value) == (f"{file}: no class with @extension(...) is defined in it or named in its __all__")


def test_an_extension_of_no_known_kind_is_an_error(write: Write) -> None:
    file = write("ext/mine.py", PLUGIN.format(name="mine", cls="Mine"))
    with pytest.raises(ExtensionLoadError) as caught:
        find_extensions(load_path(file), [Plugin])
    assert str(caught.value) == (
        f"{file}: class Mine is declared with @extension but does not extend {__name__}:Plugin"
    )
