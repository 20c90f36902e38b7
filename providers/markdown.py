"""Tables of documents that are made from code, and where they stand: between two markers. Imports the schema's type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from providers.extension import Schema


def between(text: str, begin: str, end: str, made: str) -> str:
    """A document with what stands between its markers replaced by `made`. Raises ValueError if it has no markers."""
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"expected the markers {begin!r} and {end!r}")
    return f"{before}{begin}\n\n{made}\n{end}{after}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def keys_table(schema: Schema, prefix: str = "") -> str:
    """Every key of an object's schema, with those of objects and lists in it: key, type, default, meaning."""
    return "\n".join(["| Key | Type | Default | Meaning |", "|---|---|---|---|", *_rows(schema, prefix)])


def _rows(schema: Schema, prefix: str) -> Iterator[str]:
    required = schema.get("required", ())
    for name, sub in schema["properties"].items():
        default = f"`{json.dumps(sub['default'])}`" if "default" in sub else ""
        if name in required:
            default = "required"
        cells = (f"`{prefix}{name}`", type_words(sub), default, sub.get("description", ""))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        if "properties" in sub:
            yield from _rows(sub, f"{prefix}{name}.")
        elif "properties" in sub.get("items", {}):
            yield from _rows(sub["items"], f"{prefix}{name}[].")


def type_words(schema: Schema) -> str:
    """A schema's type in a few words."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    text = " or ".join(types)
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        text += f", {low} to {high}" if high is not None else f", at least {low}"
    return text
