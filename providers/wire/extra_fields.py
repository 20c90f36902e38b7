"""Fields of an object that an API does not define, or that nobody here knows: read apart, and put back. Does no I/O.

What is known is read by a closed Struct at full speed. Only an object that it refuses is taken apart, so that looking
for unknown fields costs nothing where there are none.

A field inside of a known object has a name with a dot (`function.x`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from providers.wire.json_text import FIELDS, UNREADABLE, is_object

Extra = dict[str, Raw]

T = TypeVar("T", bound=Struct)

_NOTHING = frozenset({b"null", b"[]", b"{}", b'""', b"false"})


def says_something(value: Raw) -> bool:
    """Whether a field asks for anything: SDKs send back what they got, empty fields and all."""
    return len(value) > 5 or bytes(value) not in _NOTHING


def names_of(struct: type[Struct]) -> frozenset[str]:
    """The fields of a Struct as they are called in JSON, its tag too."""
    tag = struct.__struct_config__.tag_field
    return frozenset({*struct.__struct_encode_fields__, *([tag] if tag is not None else [])})


def split_fields(
    raw: Raw, known: Collection[str], nested: Mapping[str, Collection[str]] | None = None
) -> tuple[Raw, Extra]:
    """An object less its unknown fields, and these. Null means "not given". `nested`: known objects inside of it.

    Raises what msgspec raises for what is no object.
    """
    fields = FIELDS.decode(raw)
    extra = {name: value for name, value in fields.items() if name not in known and bytes(value) != b"null"}
    kept = {name: value for name, value in fields.items() if name in known}
    for name, names in (nested or {}).items():
        if name in kept and is_object(kept[name]):
            kept[name], inner = split_fields(kept[name], names)
            extra.update({f"{name}.{field}": value for field, value in inner.items()})
    return Raw(msgspec.json.encode(kept)), extra


class OpenReader(Generic[T]):
    """Reads objects as a Struct, and what they have beside it. `also`: fields that are known, and read elsewhere."""

    def __init__(self, struct: type[T], *also: str) -> None:
        beside = [(name, Raw, Raw(b"")) for name in also]
        closed = msgspec.defstruct(struct.__name__, beside, bases=(struct,), forbid_unknown_fields=True)
        self._closed: msgspec.json.Decoder[T] = msgspec.json.Decoder(closed)
        self._open: msgspec.json.Decoder[T] = msgspec.json.Decoder(struct)
        self._known = names_of(struct) | set(also)

    def read(self, raw: Raw) -> tuple[T, Extra | None]:
        """The value, and its unknown fields if it has any. Raises what msgspec raises."""
        try:
            return self._closed.decode(raw), None
        except UNREADABLE:
            value = self._open.decode(raw)
        fields = FIELDS.decode(raw).items()
        extra = {name: field for name, field in fields if name not in self._known and bytes(field) != b"null"}
        return value, extra or None


def put_back(wire: dict[str, Any], extra: Extra | None) -> None:
    """Add unknown fields to the object that they came from. They win over what stands there."""
    for name, value in (extra or {}).items():
        first, _, second = name.partition(".")
        inner = wire.get(first)
        if second and isinstance(inner, dict):
            wire[first] = {**inner, second: value}
        else:
            wire[name] = value
