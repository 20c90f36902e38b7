"""Plugins on their way along a request, without HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.extension import check_config
from providers.model import Accumulator, LLMRequest, LLMResponse
from proxy.plugins import Plugin, PluginContext
from proxy.plugins.chunks import ChunkChain
from proxy.plugins.loaded import LoadedPlugin
from proxy.plugins.pipeline import Pipeline, PipelineRun


async def configured(cls: type[Plugin], **config: Any) -> LoadedPlugin:
    """A plugin of this type, as the gateway makes one of an entry."""
    filled, problems = check_config(cls.metadata.configuration_schema, config)
    assert not problems, problems
    plugin = cls()
    assert plugin.validate_config(filled) is True
    await plugin.configure(filled)
    return LoadedPlugin(cls.metadata.name, plugin)


def run_of(*plugins: LoadedPlugin, request: LLMRequest | None = None, **context: Any) -> PipelineRun:
    return PipelineRun(Pipeline(plugins), PluginContext(request=request or LLMRequest(model="m"), **context))


async def let_in(*plugins: LoadedPlugin, request: LLMRequest | None = None, **context: Any) -> PipelineRun:
    """A run whose way in is behind it. Raises what a plugin refuses the request with."""
    run = run_of(*plugins, request=request, **context)
    await run.before_model()
    return run


async def streamed(run: PipelineRun, *chunks: LLMResponse) -> list[LLMResponse]:
    """What leaves of a stream."""
    chain = ChunkChain(run)
    accumulator = Accumulator()
    run.context._accumulated = accumulator.response
    out: list[LLMResponse] = []
    for chunk in chunks:
        accumulator.add(chunk)
        out += await chain.push(chunk)
    return out + await chain.finish()


def user_is(name: str, request: LLMRequest | None = None) -> Mapping[str, LLMRequest]:
    """Arguments for a request of this user."""
    request = request or LLMRequest(model="m")
    request.metadata.user_id = name
    return {"request": request}
