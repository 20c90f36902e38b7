"""Holds values against JSON Schemas in bounded time. No I/O; imports only libraries.

Schemas may come from clients, and answers are what they make models say. So every visit of a keyword is counted, by
about what it costs, and when the budget is spent, so is the patience (`BudgetSpentError`): references that double from
level to level would else take for ever. Regular expressions are RE2's. References are never fetched. A schema inside a
schema that names another dialect (`$schema`) is read by the same rules: the library's own know no budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import msgspec
import re2
from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.exceptions import SchemaError, UnknownType, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

MAX_SCHEMA_BYTES = 128 * 1024
"""Of a client's schema, as JSON without spaces."""
MAX_SCHEMA_DEPTH = 64
CLIENT_BUDGET = 100_000
"""Steps that a client's schema may take, for one answer. One takes a microsecond or so; an object of ten checked
members takes less than a hundred."""
OPERATOR_BUDGET = 500_000
"""The same for a schema of the configuration."""

_REFERENCE_STEPS = 20
_NODES_PER_STEP = 32
"""What fails is written out, however large it is."""

Keyword = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]


class BudgetSpentError(Exception):
    """Holding a value against a schema takes more steps than it may."""


class InapplicableError(Exception):
    """The schema is wrong, or beyond this gateway: no value is to blame."""


_STUMBLES = (
    Unresolvable,
    UnknownType,
    RecursionError,
    TypeError,
    AttributeError,
    ValueError,
    LookupError,
    ArithmeticError,
)


class _Work:
    """What one value takes."""

    def __init__(self, budget: int, schema: CheckedSchema, value: Any) -> None:
        self.left = budget
        self._in_schema = schema.sizes
        self._in_value = _sizes_of(value, self.spend)

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise BudgetSpentError

    def nodes_in(self, value: Any) -> int:
        """How large an object or array is, if it is large."""
        return self._in_schema.get(id(value)) or self._in_value.get(id(value)) or 0

    def cost_of(self, value: Any) -> int:
        """About how many steps it takes to go through a value once, or to write it out."""
        if isinstance(value, (dict, list)):
            return len(value) + self.nodes_in(value) // _NODES_PER_STEP
        return len(value) // 64 if isinstance(value, str) else 0


_work: ContextVar[_Work] = ContextVar("work")


class CheckedSchema:
    """A schema, ready to be applied. Raises `InapplicableError`."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.sizes = _sizes_of(schema, lambda steps: None)
        try:
            self._validator = _Validator(schema, _resolver=_resolver_of(schema))
        except _STUMBLES as caught:
            raise InapplicableError(type(caught).__name__) from caught

    def fault_in(self, value: Any, budget: int) -> str | None:
        """Where and by which keyword a value fails, quoting nothing of it; None: it does not. Raises
        `BudgetSpentError`, `InapplicableError`."""
        work = _Work(budget, self, value)
        token = _work.set(work)
        try:
            error = best_match(self._validator.iter_errors(value))
        except BudgetSpentError:
            raise
        # The library tells of a schema that is none by whatever its code stumbles over.
        except _STUMBLES as caught:
            raise InapplicableError(type(caught).__name__) from caught
        finally:
            _work.reset(token)
        if error is None:
            return None
        place = ".".join(str(part) for part in error.absolute_path) or "the answer"
        return f"{place} fails the schema's '{error.validator}'"


def fault_in_schema(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a schema of the configuration."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return str(error.message)
    return None


def excess_of(schema: Mapping[str, Any]) -> str | None:
    """In what a client's schema is larger than one may be; None: in nothing."""
    size = len(msgspec.json.encode(schema))
    if size > MAX_SCHEMA_BYTES:
        return f"at most {MAX_SCHEMA_BYTES} bytes here, got {size}"
    level: list[Any] = [schema]
    for _ in range(MAX_SCHEMA_DEPTH):
        level = [inner for value in level for inner in _members(value)]
        if not level:
            return None
    return f"at most {MAX_SCHEMA_DEPTH} levels here"


def _members(value: Any) -> Iterable[Any]:
    """The objects and arrays in an object or an array."""
    members: Iterable[Any] = value.values() if isinstance(value, dict) else value
    return [member for member in members if isinstance(member, (dict, list))]


def _resolver_of(schema: Mapping[str, Any]) -> Any:
    """Finds what references mean, in the schema itself.

    The library's own fetches that. It also searches the whole schema for each name; here that is done once.
    """
    resource = DRAFT202012.create_resource(schema)
    uri = resource.id() or ""
    registry: Registry[Any] = Registry()
    return registry.with_resource(uri, resource).crawl().resolver(uri)


def _sizes_of(value: Any, spend: Callable[[int], object]) -> dict[int, int]:
    """How many values each large object or array holds, by its identity. It takes a step for each."""
    sizes: dict[int, int] = {}
    if not isinstance(value, (dict, list)):
        return sizes
    totals: dict[int, int] = {}
    waiting: list[tuple[Any, bool]] = [(value, False)]
    while waiting:
        container, is_done = waiting.pop()
        spend(1)
        inner = _members(container)
        if not is_done and inner:
            waiting.append((container, True))
            waiting += [(member, False) for member in inner]
            continue
        total = len(container) + sum(totals.pop(id(member), 0) for member in inner)
        totals[id(container)] = total
        if total >= _NODES_PER_STEP:
            sizes[id(container)] = total
    return sizes


# -- keywords ----------------------------------------------------------------------------------------------------------


def _counted(keyword: Keyword) -> Keyword:
    def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        work = _work.get()
        work.spend(1 + work.cost_of(value) + work.cost_of(instance))
        for error in keyword(validator, value, instance, schema) or ():
            work.spend(1)
            yield error

    return counted


def _reference(keyword: Keyword) -> Keyword:
    def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterable[ValidationError] | None:
        _work.get().spend(_REFERENCE_STEPS)
        return keyword(validator, value, instance, schema)

    return counted


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not _finds(pattern, value):
        yield ValidationError("does not match")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], value: Any, schema: Any) -> Any:
    if not isinstance(value, dict):
        return
    for pattern, inner in patterns.items():
        for name, member in value.items():
            _work.get().spend(1 + len(name) // 64)
            if _finds(pattern, name):
                yield from validator.descend(member, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, value: Any, schema: Any) -> Any:
    if not isinstance(value, dict):
        return
    patterns = schema.get("patternProperties", {})
    known = schema.get("properties", {})
    for name, member in value.items():
        _work.get().spend((1 + len(name) // 64) * len(patterns))
        if name in known or any(_finds(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError("is not expected")
        elif isinstance(allowed, dict):
            yield from validator.descend(member, allowed, path=name)


def _unique_items(validator: Any, unique: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """The library compares each item with each other one."""
    if not unique or not isinstance(value, list):
        return
    _work.get().spend(_work.get().nodes_in(value))
    seen: set[bytes] = set()
    for item in value:
        key = msgspec.json.encode(_canonical(item), order="deterministic")
        if key in seen:
            yield ValidationError("has items that are equal")
            return
        seen.add(key)


_EXACT = 2**53
"""Up to here each integer has a float of its own."""


def _canonical(value: Any) -> Any:
    """The same for values that are equal: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, dict):
        return {name: _canonical(member) for name, member in value.items()}
    return value


def _one_of_them(validator: Any, values: Any, instance: Any, schema: Any) -> Iterable[ValidationError] | None:
    _work.get().spend(_work.get().nodes_in(values))
    found: Iterable[ValidationError] | None = Draft202012Validator.VALIDATORS["enum"](
        validator, values, instance, schema
    )
    return found


def _nothing(validator: Any, keyword: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    yield from ()


_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True
_OPTIONS.max_mem = 1 << 20
"""For each of a client's expressions: a larger one counts as one that RE2 does not take."""


def _finds(pattern: str, text: str) -> bool:
    """Whether a schema's regular expression matches; one that RE2 does not take matches everything."""
    try:
        return re2.compile(pattern, _OPTIONS).search(text) is not None
    except re2.error:
        return True


_OWN: Mapping[str, Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
    "enum": _one_of_them,
    # The library looks for what is left over by walks that nothing counts, with backtracking expressions.
    "unevaluatedItems": _nothing,
    "unevaluatedProperties": _nothing,
}
_REFERENCES = ("$ref", "$dynamicRef")

_Validator: Any = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        name: _counted(_reference(keyword) if name in _REFERENCES else _OWN.get(name, keyword))
        for name, keyword in Draft202012Validator.VALIDATORS.items()
    },
)


def _evolve(self: Any, **changes: Any) -> Any:
    """As the library's own, but never of another class: a schema's `$schema` would choose one."""
    given = {
        "schema": self.schema,
        "_resolver": self._resolver,
    }
    return _Validator(**{**given, **changes})


_Validator.evolve = _evolve
