"""The rules that hold the tree together, read from the source: imports, file sizes, cancellation, docstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("providers", "proxy", "conformance")
FORBIDDEN = {"providers": {"proxy", "conformance"}, "proxy": {"conformance"}, "conformance": set[str]()}
"""Imports run one way: conformance -> proxy -> providers."""
NEVER = {"tests", "benchmarks"}
MAX_LINES = 450

MODULES = sorted(path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(), module)


def imported(module: str) -> Iterator[tuple[str, int]]:
    """The names of the modules that `module` imports, wherever it does, and the lines."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: a relative import"
            yield node.module or "", node.lineno


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 100
    assert {module.partition("/")[0] for module in MODULES} == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    wrong = [
        f"{module}:{line} imports {name}"
        for module in MODULES
        if module.startswith(package + "/")
        for name, line in imported(module)
        if name.partition(".")[0] in FORBIDDEN[package] | NEVER
    ]
    assert not wrong


def test_no_file_hides_two() -> None:
    sizes = {module: len((ROOT / module).read_text().splitlines()) for module in MODULES}
    assert not {module: size for module, size in sizes.items() if size > MAX_LINES}


def test_every_module_says_what_it_is_for() -> None:
    assert not [module for module in MODULES if not (ast.get_docstring(tree_of(module)) or "").strip()]


def names_in(node: ast.expr | None) -> set[str]:
    """The last names of what an `except` catches."""
    if isinstance(node, ast.Tuple):
        return set().union(*map(names_in, node.elts))
    if isinstance(node, ast.Attribute):
        return {node.attr}
    return {node.id} if isinstance(node, ast.Name) else set()


def swallowing(tree: ast.AST) -> Iterator[int]:
    """The lines of handlers that could swallow `Cancelled`: bare ones, and those of BaseException in async code.

    One that ends with `raise` swallows nothing.
    """
    for function in ast.walk(tree):
        if isinstance(function, ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if not isinstance(node, ast.ExceptHandler) or isinstance(node.body[-1], ast.Raise):
                    continue
                if names_in(node.type) & {"BaseException", "Cancelled"}:
                    yield node.lineno
        elif isinstance(function, ast.ExceptHandler) and function.type is None:
            yield function.lineno


def unbounded_shields(tree: ast.AST) -> Iterator[int]:
    """The lines of shielded cancel scopes without a deadline.

    A scope that is bound to a name may get its deadline later, by an assignment to `name.deadline`.
    """
    timed = {"move_on_after", "move_on_at", "fail_after", "fail_at"}
    bounded_later: set[ast.AST] = set()
    with_deadline = {
        ast.unparse(target.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Attribute) and target.attr == "deadline"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            if ast.unparse(node.targets[0]) in with_deadline:
                bounded_later.add(node.value)
            if any(isinstance(target, ast.Attribute) and target.attr == "shield" for target in node.targets):
                yield node.lineno  # shielded later on: nobody can see that it has a deadline
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node not in bounded_later:
            shields = any(word.arg == "shield" and getattr(word.value, "value", True) for word in node.keywords)
            bounded = names_in(node.func) & timed or any(
                word.arg in ("deadline", "relative_deadline") for word in node.keywords
            )
            if shields and not bounded:
                yield node.lineno


def test_nothing_swallows_a_cancellation() -> None:
    assert not [f"{module}:{line}" for module in MODULES for line in swallowing(tree_of(module))]


def test_every_shield_has_a_deadline() -> None:
    assert not [f"{module}:{line}" for module in MODULES for line in unbounded_shields(tree_of(module))]


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    pass\nexcept:\n    pass",
        "async def f():\n    try: pass\n    except BaseException:\n        log()",
        "async def f():\n    try: pass\n    except (ValueError, trio.Cancelled) as error:\n        return",
    ],
)
def test_the_check_sees_a_swallowed_cancellation(source: str) -> None:
    assert list(swallowing(ast.parse(source))) == [3]


@pytest.mark.parametrize(
    "source",
    [
        "trio.CancelScope(shield=True)",
        "CancelScope(shield=wanted)",
        "scope.shield = True",
        "s = CancelScope(shield=True)",
    ],
)
def test_the_check_sees_an_unbounded_shield(source: str) -> None:
    assert list(unbounded_shields(ast.parse(source))) == [1]


@pytest.mark.parametrize(
    "source",
    [
        "trio.CancelScope(deadline=1, shield=True)",
        "trio.move_on_after(1, shield=True)",
        "trio.CancelScope(shield=False)",
    ],
)
def test_the_check_takes_a_bounded_shield(source: str) -> None:
    assert not list(unbounded_shields(ast.parse(source)))
