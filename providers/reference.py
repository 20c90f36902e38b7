"""What each provider type supports, as Markdown, made from the code.

`python -m providers docs/providers.md` puts it between the markers in that file.
"""

from __future__ import annotations

from collections.abc import Iterable

from providers.markdown import between, table
from providers.presets import PRESETS, Preset
from providers.provider import Capability, Provider
from providers.registry import provider_registry
from providers.wire.openai_chat.dialect import OPENAI, Dialect

BEGIN = "<!-- built-in providers: made by `python -m providers docs/providers.md` -->"
END = "<!-- end of built-in providers -->"

COLUMNS: tuple[tuple[Capability, str], ...] = (
    ("streaming", "streams"),
    ("tools", "tools"),
    ("count_tokens", "counts tokens"),
    ("embeddings", "embeddings"),
    ("completions", "legacy completions"),
    ("passthrough", "passthrough"),
)


def reference_markdown() -> str:
    """A table of the types, and one of the presets."""
    types = [(name, cls) for name, cls in provider_registry().items() if not cls.metadata.preset_of]
    head = ["`type`", "what", "speaks", *(title for _, title in COLUMNS)]
    parts = [
        table(head, (_type_row(name, cls) for name, cls in types)),
        "Presets of `openai-compatible`: the same code with a row of `providers/presets/table.py`. The key is taken "
        "from the variable unless the file gives one.",
        table(
            ["`type`", "vendor", "base URL", "key", "beside chat", "in its own way"],
            (_preset_row(preset) for preset in PRESETS),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def with_reference(text: str) -> str:
    """A document with what stands between its markers made anew. Raises ValueError if it has no markers."""
    return between(text, BEGIN, END, reference_markdown())


def _type_row(name: str, cls: type[Provider]) -> list[str]:
    has = cls.capabilities()
    apis = ", ".join(f"`{api}`" for api in (cls.api, *cls.variants) if api)
    return [f"`{name}`", cls.metadata.description, apis, *("yes" if key in has else "" for key, _ in COLUMNS)]


def _preset_row(preset: Preset) -> list[str]:
    key = f"`{preset.key_variable}`" if preset.key_variable is not None else "none"
    if preset.key_variable is not None and not preset.key_required:
        key += " (optional)"
    counts = ["token counts"] if preset.token_count is not None else []
    return [
        f"`{preset.name}`",
        f"[{preset.title}]({preset.docs})",
        preset.base_url or f"yours: `{preset.base_url_form}`",
        key,
        ", ".join([*sorted(preset.endpoints), *counts]),
        "; ".join(_differences(preset.dialect)),
    ]


def _differences(dialect: Dialect) -> Iterable[str]:
    """How a dialect differs from OpenAI's, in a few words each."""
    if dialect.max_tokens != OPENAI.max_tokens:
        yield "`max_tokens`"
    if dialect.developer_role != OPENAI.developer_role:
        yield f"`developer` messages as `{dialect.developer_role}`"
    if not dialect.message_names:
        yield "no names of messages"
    for title, names in (
        ("refuses", dialect.refuses),
        ("drops", dialect.drops),
        ("ignores", dialect.ignores),
        ("also takes", dialect.beyond),
    ):
        if names:
            yield f"{title} {_listed(names)}"
    if dialect.tool_choices != OPENAI.tool_choices:
        yield f"tool choice {_listed(dialect.tool_choices)} only"
    if dialect.response_formats != OPENAI.response_formats:
        yield f"formats {_listed(dialect.response_formats)} only"
    if dialect.reasoning_asked != OPENAI.reasoning_asked:
        yield f"asked to think by `{dialect.reasoning_asked}`"
    if dialect.reasoning_returned is not None:
        yield f"reasoning goes back in `{dialect.reasoning_returned}`"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
