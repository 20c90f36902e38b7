"""The reference of `gateway.yaml` as Markdown, made from its schema.

`python -m proxy.config docs/configuration.md` puts it between the markers in that file.
"""

from __future__ import annotations

from providers.markdown import between, keys_table, type_words
from proxy.config.schema import SCHEMA

BEGIN = "<!-- reference: made by `python -m proxy.config docs/configuration.md` -->"
END = "<!-- end of reference -->"


def reference_markdown() -> str:
    """One table for each top-level key: key, type, default, meaning."""
    parts = []
    for name, schema in SCHEMA["properties"].items():
        many = schema["type"] == "array"
        if not many and schema["type"] != "object":
            parts.append(f"### `{name}`\n\n{schema['description']} A {type_words(schema)}.")
            continue
        lines = [f"### `{name}`", "", schema["description"]]
        if many:
            lines[-1] += f" A list; each item: {_lower(schema['items']['description'])}"
        lines += ["", keys_table(schema["items"] if many else schema, f"{name}[]." if many else f"{name}.")]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def with_reference(text: str) -> str:
    """A document with what stands between its markers made anew. Raises ValueError if it has no markers."""
    return between(text, BEGIN, END, reference_markdown())


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
