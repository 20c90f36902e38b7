"""The bundled plugins' configuration as Markdown, made from their schemas.

`python -m proxy.plugins docs/bundled-plugins.md` puts each plugin's keys between its markers in that file.
"""

from __future__ import annotations

from providers.markdown import between, keys_table
from proxy.plugins import BUILTIN_PLUGINS, plugin_registry


def markers(name: str) -> tuple[str, str]:
    """What stands before and after a plugin's table."""
    return f"<!-- keys of {name}: made by `python -m proxy.plugins` -->", f"<!-- end of {name} -->"


def with_reference(text: str) -> str:
    """A document with every plugin's table made anew. Raises ValueError if one has no place in it."""
    registry = plugin_registry()
    for name in BUILTIN_PLUGINS:
        schema = registry.get(name).metadata.configuration_schema
        text = between(text, *markers(name), keys_table(schema) + "\n")
    return text
