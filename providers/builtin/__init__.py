"""The providers that come with Triway. Each is one module; the table says which, so that none is imported unused."""

BUILTIN_PROVIDERS = {
    "anthropic": "providers.builtin.anthropic:AnthropicProvider",
    "openai": "providers.builtin.openai:OpenAIProvider",
    "replay": "providers.replay.provider:ReplayProvider",
}
"""Type name to `module:class`."""
