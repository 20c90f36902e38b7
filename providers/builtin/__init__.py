"""The providers that come with Triway. Each is one module; the table says which, so that none is imported unused."""

from providers.presets import PRESETS

BUILTIN_PROVIDERS = {
    "anthropic": "providers.builtin.anthropic:AnthropicProvider",
    "azure-openai": "providers.builtin.azure_openai:AzureOpenAIProvider",
    "bedrock": "providers.builtin.bedrock:BedrockProvider",
    "cohere": "providers.builtin.cohere:CohereProvider",
    "gemini": "providers.builtin.gemini:GeminiProvider",
    "mistral": "providers.builtin.mistral:MistralProvider",
    "ollama": "providers.builtin.ollama:OllamaProvider",
    "openai": "providers.builtin.openai:OpenAIProvider",
    "openai-compatible": "providers.builtin.openai_compatible:CompatibleProvider",
    "replay": "providers.replay.provider:ReplayProvider",
    "vertex": "providers.builtin.vertex:VertexProvider",
    **{preset.name: f"providers.builtin.openai_compatible:{preset.name}" for preset in PRESETS},
}
"""Type name to `module:class`."""
