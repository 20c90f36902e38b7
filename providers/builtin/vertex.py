"""Google Vertex AI: Gemini, and Claude by Anthropic's API
(https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
https://docs.anthropic.com/en/api/claude-on-vertex-ai)."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from providers.extension import Config, extension
from providers.http import HTTPSettings, OutgoingRequest, WireProvider, http_schema
from providers.model import LLMRequest, LLMResponse
from providers.wire import anthropic_messages as claude
from providers.wire import gemini_generate as gemini
from providers.wire.base import EncodedRequest
from providers.wire.embedding import EmbeddingWire
from providers.wire.gemini_generate.embeddings import VERTEX, vertex_embeddings
from providers.wire.json_text import FIELDS

if TYPE_CHECKING:
    from providers.auth.google_credentials import GoogleTokens

API_VERSION = "v1beta1"
ANTHROPIC_VERSION = "vertex-2023-10-16"

_PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")
_LOCATION_VARIABLES = ("GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION")
_MULTI_REGIONS = frozenset({"us", "eu"})
_SOURCES = ("apiKey", "credentials", "credentialsFile")


@extension(
    name="vertex",
    version="1.0.0",
    description="Google Vertex AI: Gemini, or Claude with `api: anthropic`; needs the extra `vertex` (google-auth)",
    configuration_schema=http_schema(
        apiKey={"description": "A Vertex API key, instead of credentials. Never logged."},
        baseUrl={"description": "Where the API is. Default: the location's endpoint."},
        model={
            "default": "gemini-2.5-flash",
            "description": "A model's name, or a resource below the location (`endpoints/123`).",
        },
        api={
            "enum": ["gemini", "anthropic"],
            "default": "gemini",
            "description": "Whose models: Google's, or Anthropic's by their own API.",
        },
        project={
            "type": "string",
            "pattern": "^[A-Za-z0-9:._-]+$",
            "description": "The project to bill. Default: the service account's, GOOGLE_CLOUD_PROJECT.",
        },
        location={
            "type": "string",
            "pattern": "^[a-z0-9-]+$",
            "description": "A region, `us`, `eu` or `global`. Default: GOOGLE_CLOUD_LOCATION, then global.",
        },
        credentials={
            "type": ["object", "string"],
            "description": "A service account's key (or a user's credentials) as JSON. Never logged.",
        },
        credentialsFile={
            "type": "string",
            "format": "path",
            "minLength": 1,
            "description": "A file with the same, relative to the configuration file. Without any: Google's "
            "application default credentials, the metadata server among them.",
        },
        apiVersion={
            "type": "string",
            "pattern": "^v[0-9a-z]+$",
            "default": API_VERSION,
            "description": "The first segment of the path.",
        },
        dropUnsupported={
            "type": "boolean",
            "default": False,
            "description": "Leave out parameters of another client API that this one cannot honour, instead of a 400.",
        },
    ),
)
class VertexProvider(WireProvider):
    wire = gemini.VERTEX_WIRE
    embeddings = VERTEX
    variants = {"anthropic-messages": {"api": "anthropic"}}

    def __init__(self) -> None:
        super().__init__()
        self._tokens: GoogleTokens | None = None
        self._publisher = "google"

    def validate_config(self, config: Config) -> bool | str:
        sources = [name for name in _SOURCES if name in config]
        if len(sources) > 1:
            return f"expected one of {', '.join(_SOURCES)}, not {' and '.join(sources)}"
        if "apiKey" not in config and importlib.util.find_spec("google.auth") is None:
            return "google-auth is not installed: pip install 'triway[vertex]'"
        try:
            info = _credentials(config)
            if info is not None:
                from providers.auth.google_credentials import given_credentials

                given_credentials(info)
        except ValueError as error:
            return f"{sources[0]}: {error}"
        if _project(config, info) is None and "apiKey" not in config:
            return f"project: required, here or in {_PROJECT_VARIABLES[0]}"
        return super().validate_config(_with_url(config))

    async def configure(self, config: Config) -> None:
        config = _with_url(config)
        if config.get("api") == "anthropic":
            self.wire, self._publisher = claude.WIRE, "anthropic"
            self.api = self.wire.api
        info = _credentials(config)
        project = _project(config, info)
        place = f"/projects/{project}/locations/{_location(config)}" if project is not None else ""
        self.path = f"/{config.get('apiVersion', API_VERSION)}{place}"
        await super().configure(config)
        if "apiKey" not in config:
            self._tokens = _tokens(info, self.settings)

    def auth_headers(self, settings: HTTPSettings) -> dict[str, str]:
        return {"x-goog-api-key": settings.api_key} if settings.api_key else {}

    async def authorize(self, outgoing: OutgoingRequest) -> OutgoingRequest:
        if self._tokens is None:
            return outgoing
        token = await self._tokens.current()
        return msgspec.structs.replace(outgoing, headers={**outgoing.headers, "authorization": f"Bearer {token}"})

    def _resource(self, model: str) -> str:
        """A bare name is a model of the publisher; anything else is a resource of its own."""
        return f"{self.path}/{model if '/' in model else f'publishers/{self._publisher}/models/{model}'}"

    def completion_target(self, request: LLMRequest, model: str) -> str:
        if self.wire is claude.WIRE:
            return gemini.method_target(self._resource(model), "streamRawPredict" if request.stream else "rawPredict")
        return gemini.completion_target(self._resource(model), stream=request.stream)

    def encode(self, request: LLMRequest, model: str) -> EncodedRequest:
        return self._for_vertex(super().encode(request, model))

    def relayed(self, request: LLMRequest, model: str) -> EncodedRequest:
        return self._for_vertex(super().relayed(request, model))

    def _for_vertex(self, encoded: EncodedRequest, *, with_model: bool = False) -> EncodedRequest:
        """Anthropic's body as Vertex takes it: the version in it, the model (but for counting) in the path."""
        if self.wire is not claude.WIRE:
            return encoded
        fields: dict[str, object] = {"anthropic_version": ANTHROPIC_VERSION, **FIELDS.decode(encoded.body)}
        if not with_model:
            fields.pop("model", None)
        return msgspec.structs.replace(encoded, body=msgspec.json.encode(fields))

    def embedding_wire(self, model: str) -> EmbeddingWire | None:
        return None if self.wire is claude.WIRE else vertex_embeddings(model)

    def embedding_target(self, wire: EmbeddingWire, model: str) -> str:
        return gemini.method_target(self._resource(model), "predict")

    async def count_tokens(self, request: LLMRequest) -> LLMResponse:
        model = self.model_for(request)
        if self.wire is claude.WIRE:
            return await self._count_for_claude(request, model)
        if self.is_lossless(request):
            encoded = EncodedRequest(body=gemini.relay_count_request(request, model, on_vertex=True))
        else:
            encoded = gemini.encode_count_request(request, model, self.count_translation(request), on_vertex=True)
        target = gemini.method_target(self._resource(model), "countTokens")
        outgoing = OutgoingRequest(target=target, body=encoded.body, dropped=encoded.dropped)
        return await self.call(outgoing, request, gemini.decode_token_count)

    async def _count_for_claude(self, request: LLMRequest, model: str) -> LLMResponse:
        headers: dict[str, str] = {}
        if self.is_lossless(request):
            encoded = EncodedRequest(body=claude.relay_count_request(request, model))
            headers = request.metadata.headers
        else:
            encoded = claude.encode_count_request(request, model, self.count_translation(request))
        encoded = self._for_vertex(encoded, with_model=True)
        target = gemini.method_target(self._resource("count-tokens"), "rawPredict")
        outgoing = OutgoingRequest(target=target, body=encoded.body, headers=headers, dropped=encoded.dropped)
        return await self.call(outgoing, request, claude.decode_token_count)


def _credentials(config: Config) -> Mapping[str, Any] | None:
    """The credentials that the configuration gives. Raises ValueError if they cannot be read."""
    given = config.get("credentials")
    if "credentialsFile" in config:
        try:
            given = Path(config["credentialsFile"]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot be read ({type(error).__name__})") from None
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            raise ValueError("expected JSON") from None
    if given is not None and not isinstance(given, dict):
        raise ValueError("expected a JSON object")
    return given


def _project(config: Config, info: Mapping[str, Any] | None) -> str | None:
    own = (info or {}).get("project_id")
    for project in (config.get("project"), own, *(os.environ.get(name) for name in _PROJECT_VARIABLES)):
        if project:
            return str(project)
    return None


def _location(config: Config) -> str:
    for location in (config.get("location"), *(os.environ.get(name) for name in _LOCATION_VARIABLES)):
        if location:
            return str(location)
    return "global"


def _with_url(config: Config) -> Config:
    if "baseUrl" in config:
        return config
    location = _location(config)
    if location == "global":
        host = "aiplatform.googleapis.com"
    elif location in _MULTI_REGIONS:
        host = f"aiplatform.{location}.rep.googleapis.com"
    else:
        host = f"{location}-aiplatform.googleapis.com"
    return {**config, "baseUrl": f"https://{host}"}


def _tokens(info: Mapping[str, Any] | None, settings: HTTPSettings) -> GoogleTokens:
    from providers.auth.google_credentials import GoogleTokens, found_credentials, given_credentials
    from providers.transport.tls import own_client_context

    load = found_credentials() if info is None else given_credentials(info)
    return GoogleTokens(load, proxy=settings.proxy, verify=own_client_context(settings.ca_bundle))
