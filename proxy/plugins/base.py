"""`Plugin`: what looks at requests and answers on their way, and may change or stop them. Imports the life cycle."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal, get_args

from providers.extension import Config, Extension, KeyPath
from proxy.plugins.context import PluginContext
from proxy.plugins.result import PluginResult

Phase = Literal["before_model", "after_model", "after_chunk", "on_model_error", "detached_after_response"]
PHASES: tuple[Phase, ...] = get_args(Phase)

OnError = Literal["open", "closed"]
"""What a plugin's own failure (it raises, hangs or returns nonsense) means. `open`: the request goes on without it;
`closed`: the request fails."""


class Plugin(Extension):
    """Base of plugins. One instance for each entry of `plugins`, used by many requests at once.

    A plugin overrides the phases it wants; which ones is found once, at load, and the others cost nothing. A phase
    returns a `PluginResult`, or None to let the request go on as it is. Nothing in the context may be changed in
    place: what a plugin wants changed it returns (`PluginResult.context`), so that a plugin that fails half-way has
    changed nothing.

    All but `detached_after_response` run inside the request's nursery, one after another: they are cancelled with the
    request (let `trio.Cancelled` through), and the client waits for them. Each call has the time that the entry's
    `timeout` gives it. What it needs between its phases is kept in `context.plugin_data`; `self` is shared.
    """

    on_error: ClassVar[OnError] = "open"
    """What `onError` is where the entry does not say. Plugins that guard (auth, hiding) say `closed`."""
    sees_credentials: ClassVar[bool] = False
    """Whether `context.credentials` is filled in for this plugin. Nobody but authentication needs it."""
    hides: ClassVar[bool] = False
    """Whether it hides what people say. What it has not seen is not recorded; see `PluginContext.hide_in_records`."""

    def phases(self) -> frozenset[Phase]:
        """The phases that this instance takes part in. Asked once, after `configure`.

        All that its class overrides, unless it says less: a stream that no plugin looks at is relayed byte for byte.
        """
        return phases_of(type(self))

    def models_named(self, config: Config) -> Iterable[tuple[KeyPath, str]]:
        """The models that a configuration names, each with its place in it. Asked at load, after `validate_config`: a
        name that the project has no model for is an error of the file."""
        return ()

    async def run_beside(self) -> None:
        """What goes on beside the requests, for all of them together: renewing, refreshing, flushing.

        Started after `configure` in the app's supervised nursery, cancelled before `aclose`. It may return; if it
        raises, that is logged and it is not started again.
        """

    async def before_model(self, context: PluginContext) -> PluginResult | None:
        """The request was understood; no model was chosen yet. Lower priorities run first."""

    async def after_model(self, context: PluginContext) -> PluginResult | None:
        """A whole answer (`context.response`) is there; nothing was sent. Higher priorities run first."""

    async def after_chunk(self, context: PluginContext) -> PluginResult | None:
        """A stream's next chunk (`context.chunk`) is there. Higher priorities run first.

        The last call (`context.final_chunk`) comes once, when the answer has ended well. Its `chunk` is empty; what
        was held back so far is in `context.buffered_chunk`, and leaves now, whatever the plugin returns.
        """

    async def on_model_error(self, context: PluginContext) -> PluginResult | None:
        """The model failed (`context.error`), and no byte was sent to the client yet. Higher priorities run first."""

    async def detached_after_response(self, context: PluginContext) -> PluginResult | None:
        """The request is over, whatever came of it; the client does not wait.

        `context.response` is what the client was sent, in part if the stream was cut. Runs in the app's supervised
        nursery, perhaps much later, or never if more is waiting than the queue holds (the drop is counted). Lower
        priorities run first. Of the result only `success` and `error` count: they are logged.
        """


def phases_of(cls: type[Plugin]) -> frozenset[Phase]:
    """The phases that a class overrides."""
    return frozenset(phase for phase in PHASES if getattr(cls, phase) is not getattr(Plugin, phase))
