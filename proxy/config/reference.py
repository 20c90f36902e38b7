"""The reference of `gateway.yaml` as Markdown, made from its schema.

`python -m proxy.config docs/configuration.md` puts it between the markers in that file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from providers.extension import Schema
from proxy.config.schema import SCHEMA

BEGIN = "<!-- reference: made by `python -m proxy.config docs/configuration.md` -->"
END = "<!-- end of reference -->"


def reference_markdown() -> str:
    """One table for each top-level key: key, type, default, meaning."""
    parts = []
    for name, schema in SCHEMA["properties"].items():
        many = schema["type"] == "array"
        if not many and schema["type"] != "object":
            parts.append(f"### `{name}`\n\n{schema['description']} A {_type(schema)}.")
            continue
        lines = [f"### `{name}`", "", schema["description"]]
        if many:
            lines[-1] += f" A list; each item: {_lower(schema['items']['description'])}"
        lines += ["", "| Key | Type | Default | Meaning |", "|---|---|---|---|"]
        lines += _rows(schema["items"] if many else schema, f"{name}[]." if many else f"{name}.")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def with_reference(text: str) -> str:
    """A document with what stands between its markers made anew. Raises ValueError if it has no markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the markers {BEGIN!r} and {END!r}")
    return f"{before}{begin}\n\n{reference_markdown()}\n{end}{after}"


def _rows(schema: Schema, prefix: str) -> Iterator[str]:
    for name, sub in schema["properties"].items():
        default = f"`{json.dumps(sub['default'])}`" if "default" in sub else ""
        if name in schema["required"]:
            default = "required"
        cells = (f"`{prefix}{name}`", _type(sub), default, sub["description"])
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        if "properties" in sub:
            yield from _rows(sub, f"{prefix}{name}.")


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    text = " or ".join(types)
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        text += f", {low} to {high}" if high is not None else f", at least {low}"
    return text


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
