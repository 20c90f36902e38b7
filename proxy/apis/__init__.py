"""The APIs that clients speak to the gateway, an extension type of its own."""

from proxy.apis.base import ClientAPI, ClientCall, ModelCard, Operation

BUILTIN_APIS = {
    "openai-chat": "proxy.apis.openai_chat:OpenAIChatAPI",
    "anthropic-messages": "proxy.apis.anthropic_messages:AnthropicMessagesAPI",
}
"""Type name to `module:class`."""

__all__ = ["BUILTIN_APIS", "ClientAPI", "ClientCall", "ModelCard", "Operation"]
