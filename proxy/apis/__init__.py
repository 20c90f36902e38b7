"""The APIs that clients speak to the gateway, an extension type of its own."""

from providers.registry import Registry
from proxy.apis.base import ClientAPI, ClientCall, ModelCard, Operation

BUILTIN_APIS = {
    "openai-chat": "proxy.apis.openai_chat:OpenAIChatAPI",
    "openai-responses": "proxy.apis.openai_responses:OpenAIResponsesAPI",
    "anthropic-messages": "proxy.apis.anthropic_messages:AnthropicMessagesAPI",
    "gemini-generate": "proxy.apis.gemini_generate:GeminiGenerateAPI",
    "openai-completions": "proxy.apis.openai_completions:OpenAICompletionsAPI",
    "passthrough": "proxy.apis.passthrough:PassthroughAPI",
}
"""Type name to `module:class`. Where two APIs share a path, the first one answers for both."""


def api_registry() -> Registry[ClientAPI]:
    """A fresh registry of client APIs that knows the built-in ones."""
    return Registry(ClientAPI, "client API", BUILTIN_APIS)  # type: ignore[type-abstract]


def api_names(registry: Registry[ClientAPI]) -> list[str]:
    """The names of a registry's APIs, the built-in ones first."""
    return [*BUILTIN_APIS, *(name for name in registry.names() if name not in BUILTIN_APIS)]


__all__ = ["BUILTIN_APIS", "ClientAPI", "ClientCall", "ModelCard", "Operation", "api_names", "api_registry"]
