"""Azure OpenAI: OpenAI's APIs at a resource of one's own (https://learn.microsoft.com/azure/ai-foundry/openai/reference).

Two layouts: without `apiVersion` the v1 path, where the deployment is the model's name in the body
(https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle); with it the dated one, where it is in the
path. Azure's own fields (`content_filter_results`, the first chunk that has only `prompt_filter_results`) reach clients
of the same API as they came.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from providers.builtin.openai_services import OpenAIServices
from providers.extension import Config, extension
from providers.http import HTTPSettings, OutgoingRequest, http_schema
from providers.model import LLMRequest
from providers.wire import openai_chat, openai_responses
from providers.wire.embedding import EmbeddingWire

if TYPE_CHECKING:
    from providers.auth.azure_credentials import AzureTokens

_TEXT = {"type": "string", "minLength": 1}
_IDENTITIES = ("apiKey", "token", "entra")


@extension(
    name="azure-openai",
    version="1.0.0",
    description="Azure OpenAI, by deployments with an api-version or by the v1 path",
    configuration_schema=http_schema(
        required=("baseUrl",),
        baseUrl={"description": "The resource's endpoint: https://RESOURCE.openai.azure.com"},
        model={"description": "The deployment's name, whatever the client calls the model."},
        apiVersion={
            "type": "string",
            "pattern": r"^\d{4}-\d{2}-\d{2}(-preview)?$",
            "errorMessage": "a date, as in 2024-10-21 or 2025-03-01-preview",
            "description": "Use the dated API, whose path names the deployment. Default: the v1 API.",
        },
        api={
            "enum": ["chat", "responses"],
            "default": "chat",
            "description": "Which of OpenAI's APIs the deployment is asked through: Chat Completions or Responses.",
        },
        token={**_TEXT, "description": "An Entra ID access token, instead of apiKey. Never logged."},
        entra={
            "type": "object",
            "additionalProperties": False,
            "description": "Get Entra ID tokens, instead of apiKey: an application's by its secret, a managed "
            "identity's, or with {} what azure-identity finds. Needs the extra `azure`.",
            "properties": {
                "tenantId": {**_TEXT, "description": "The directory of the application."},
                "clientId": {**_TEXT, "description": "The application's, or the managed identity's, id."},
                "clientSecret": {**_TEXT, "description": "The application's secret. Never logged."},
                "managedIdentity": {
                    "type": "boolean",
                    "default": False,
                    "description": "Be the machine's managed identity.",
                },
                "authority": {
                    **_TEXT,
                    "pattern": "^https://",
                    "errorMessage": "an https:// URL",
                    "description": "Entra ID's address, for national clouds.",
                },
                "scope": {
                    **_TEXT,
                    "description": "What the token is for. Default: https://cognitiveservices.azure.com/.default",
                },
            },
            "dependentRequired": {"clientSecret": ["tenantId", "clientId"]},
        },
        dropUnsupported={
            "type": "boolean",
            "default": False,
            "description": "Leave out parameters of another client API that this one cannot honour, instead of a 400.",
        },
    ),
)
class AzureOpenAIProvider(OpenAIServices):
    wire = openai_chat.WIRE
    path = "/chat/completions"
    wires = {"chat": (wire, path), "responses": (openai_responses.WIRE, "/responses")}

    def __init__(self) -> None:
        super().__init__()
        self._version: str | None = None
        self._tokens: AzureTokens | None = None
        self._token: str | None = None

    def validate_config(self, config: Config) -> bool | str:
        verdict = super().validate_config(config)
        if verdict is not True:
            return verdict
        given = [name for name in _IDENTITIES if name in config]
        if len(given) != 1:
            return f"give one of {', '.join(_IDENTITIES)}" + (f"; there are {' and '.join(given)}" if given else "")
        entra = config.get("entra")
        if entra and entra.get("managedIdentity") and "clientSecret" in entra:
            return "entra: give clientSecret or managedIdentity, not both"
        if "entra" in config and not _is_installed():
            return "entra: azure-identity is not installed; the extra `azure` brings it"
        return True

    async def configure(self, config: Config) -> None:
        self._version = config.get("apiVersion")
        self._token = config.get("token")
        await super().configure(config)
        if "entra" in config:
            # azure-identity is an extra, and large: only who wants it pays.
            from providers.auth.azure_credentials import AzureTokens, Entra

            settings = self.settings
            self._tokens = AzureTokens(
                msgspec.convert(config["entra"], Entra), proxy=settings.proxy, ca_bundle=settings.ca_bundle
            )

    async def aclose(self) -> None:
        await super().aclose()
        if self._tokens is not None:
            self._tokens.close()

    def auth_headers(self, settings: HTTPSettings) -> dict[str, str]:
        if settings.api_key:
            return {"api-key": settings.api_key}
        return {"authorization": f"Bearer {self._token}"} if self._token else {}

    async def authorize(self, outgoing: OutgoingRequest) -> OutgoingRequest:
        if self._tokens is None:
            return outgoing
        bearer = f"Bearer {await self._tokens.current()}"
        return msgspec.structs.replace(outgoing, headers={**outgoing.headers, "authorization": bearer})

    def request_out(self, request: LLMRequest) -> OutgoingRequest:
        outgoing = super().request_out(request)
        outgoing.target = self._located(outgoing.target, self.model_for(request))
        return outgoing

    def stored_target(self, response_id: str, action: str, query: str) -> str:
        return self._located(super().stored_target(response_id, action, query))

    def embedding_target(self, wire: EmbeddingWire, model: str) -> str:
        return self._located(wire.target(model), model)

    def _located(self, target: str, model: str = "") -> str:
        """OpenAI's path and query as this resource has them. `model`: the deployment, where the path may name it."""
        if self._version is None:
            return f"/openai/v1{target}"
        path, _, query = target.partition("?")
        queries = [pair for pair in query.split("&") if pair and not pair.startswith("api-version=")]
        queries.append(f"api-version={self._version}")
        if path.startswith("/responses"):  # the one API whose dated path does not name the deployment
            return f"/openai{path}?{'&'.join(queries)}"
        return f"/openai/deployments/{quote(model, safe='')}{path}?{'&'.join(queries)}"


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("azure.identity") is not None
    except ModuleNotFoundError:  # not even its parent
        return False
