"""The SDK that plugin authors import, and the plugins that come with the gateway.

    from proxy.plugins import ContextUpdate, Plugin, PluginContext, PluginResult, changed

See docs/plugins.md. Imports providers/ and the client APIs' types.
"""

from providers.registry import Registry
from proxy.plugins.base import PHASES, OnError, Phase, Plugin
from proxy.plugins.context import HTTPRequest, PluginContext
from proxy.plugins.result import ContextUpdate, PluginResult, changed

BUILTIN_PLUGINS: dict[str, str] = {
    "basic-apikey-auth": "proxy.plugins.builtin.basic_apikey_auth:BasicAPIKeyAuth",
    "cache": "proxy.plugins.builtin.cache.plugin:Cache",
    "guard": "proxy.plugins.builtin.guard.plugin:Guard",
    "logger": "proxy.plugins.builtin.logger:Logger",
    "model-router": "proxy.plugins.builtin.model_router.plugin:ModelRouter",
    "prompt-manager": "proxy.plugins.builtin.prompt_manager:PromptManager",
    "rate-limit": "proxy.plugins.builtin.rate_limit.plugin:RateLimit",
    "regex-hider": "proxy.plugins.builtin.regex_hider.plugin:RegexHider",
}
"""Type name to `module:class`."""


def plugin_registry() -> Registry[Plugin]:
    """A fresh registry of plugins that knows the built-in ones."""
    return Registry(Plugin, "plugin", BUILTIN_PLUGINS)


__all__ = [
    "BUILTIN_PLUGINS",
    "PHASES",
    "ContextUpdate",
    "HTTPRequest",
    "OnError",
    "Phase",
    "Plugin",
    "PluginContext",
    "PluginResult",
    "changed",
    "plugin_registry",
]
