"""What a bundled plugin's own failure means where an entry does not say: those that guard fail closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.errors import GatewayError
from providers.model import LLMRequest
from proxy.config import load_config
from proxy.plugins import BUILTIN_PLUGINS, PluginContext, plugin_registry
from proxy.plugins.loaded import LoadedPlugin
from proxy.plugins.pipeline import Pipeline, PipelineRun

CLOSED = {"basic-apikey-auth", "guard", "rate-limit", "regex-hider"}
OPEN = {"cache", "logger", "model-router", "prompt-manager"}


def test_every_bundled_plugin_is_one_or_the_other() -> None:
    assert set(BUILTIN_PLUGINS) == CLOSED | OPEN
    assert not CLOSED & OPEN


@pytest.mark.parametrize("name", sorted(CLOSED | OPEN))
async def test_a_plugin_that_fails_lets_nothing_through_if_it_guards(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = plugin_registry().get(name)
    plugin = cls()

    async def raises(context: PluginContext) -> None:
        raise RuntimeError

    monkeypatch.setattr(plugin, "before_model", raises)
    monkeypatch.setattr(plugin, "phases", lambda: frozenset({"before_model"}))
    loaded = LoadedPlugin(name, plugin)
    run = PipelineRun(Pipeline([loaded]), PluginContext(request=LLMRequest(model="m")))
    if name in OPEN:
        assert await run.before_model() is None
        return
    with pytest.raises(GatewayError, match=f"plugin '{name}' failed") as caught:
        await run.before_model()
    assert (caught.value.status, caught.value.code) == (500, "plugin_failed")


async def test_an_entry_may_say_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "models: [{name: a, type: replay, config: {api: openai-chat}}]\n"
        "plugins:\n"
        "  - {name: guard, config: {maxMessages: 1}, onError: open}\n"
        "  - {name: other, type: guard, config: {maxMessages: 1}}\n"
    )
    entries = load_config(file).projects[0].plugins
    assert [entry.on_error for entry in entries] == ["open", None]
    for entry, expected in zip(entries, ("open", "closed"), strict=True):
        plugin = entry.plugin_class()
        await plugin.configure(entry.config)
        assert LoadedPlugin(entry.name, plugin, on_error=entry.on_error).on_error == expected
