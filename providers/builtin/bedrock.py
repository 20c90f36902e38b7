"""Amazon Bedrock by its Converse API
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html)."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from providers.errors import ProviderError
from providers.extension import Config, extension
from providers.http import OutgoingRequest, WireProvider, http_schema
from providers.model import LLMRequest, LLMResponse
from providers.wire.base import EncodedRequest
from providers.wire.bedrock_converse import WIRE, decode_token_count, encode_count_request, with_type
from providers.wire.bedrock_converse.embeddings import TITAN, bedrock_embeddings
from providers.wire.embedding import EmbeddingWire
from providers.wire.json_text import FIELDS

if TYPE_CHECKING:
    from providers.auth.sigv4 import SigV4Signer

_TOKEN_VARIABLE = "AWS_BEARER_TOKEN_BEDROCK"  # noqa: S105 - the name of a variable
_REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
_SIGNING_NAME = "bedrock"
_KEYS = ("accessKeyId", "secretAccessKey")


@extension(
    name="bedrock",
    version="1.0.0",
    description="Amazon Bedrock, by Converse; needs the extra `bedrock` (botocore)",
    configuration_schema=http_schema(
        apiKey={"description": f"A Bedrock API key. Default: {_TOKEN_VARIABLE}, unless there are other credentials."},
        baseUrl={"description": "Where the API is. Default: the region's bedrock-runtime endpoint."},
        model={
            "default": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "description": "A model id, an inference profile, or the ARN of one.",
        },
        region={
            "type": "string",
            "pattern": "^[a-z0-9-]+$",
            "description": "The AWS region. Default: AWS_REGION, AWS_DEFAULT_REGION, then the profile's.",
        },
        accessKeyId={"type": "string", "minLength": 1, "description": "With secretAccessKey: keys to sign with."},
        secretAccessKey={"type": "string", "minLength": 1, "description": "Never logged."},
        sessionToken={"type": "string", "minLength": 1, "description": "With temporary keys. Never logged."},
        profile={
            "type": "string",
            "minLength": 1,
            "description": "A profile of AWS's shared files. Without any credentials here: AWS's default chain.",
        },
        baseModel={
            "type": "string",
            "minLength": 1,
            "description": "The model behind an ARN that does not name it: it decides how reasoning, top_k and caching "
            "are spelled.",
        },
        guardrail={
            "type": "object",
            "properties": {
                "guardrailIdentifier": {"type": "string", "minLength": 1},
                "guardrailVersion": {"type": "string", "minLength": 1},
                "trace": {"enum": ["enabled", "disabled", "enabled_full"]},
            },
            "required": ["guardrailIdentifier", "guardrailVersion"],
            "additionalProperties": False,
            "description": "Sent as guardrailConfig with every request.",
        },
        additionalModelRequestFields={
            "type": "object",
            "default": {},
            "description": "Fields of the model's own API that go into every request, under those that are translated.",
        },
        dropUnsupported={
            "type": "boolean",
            "default": False,
            "description": "Leave out parameters of another client API that this one cannot honour, instead of a 400.",
        },
    ),
)
class BedrockProvider(WireProvider):
    wire = WIRE
    path = "/model"
    embeddings = TITAN
    stream_content_types = (b"application/vnd.amazon.eventstream",)
    relays_whole_bodies = True

    def __init__(self) -> None:
        super().__init__()
        self._signer: SigV4Signer | None = None

    def validate_config(self, config: Config) -> bool | str:
        if importlib.util.find_spec("botocore") is None:
            return "botocore is not installed: pip install 'triway[bedrock]'"
        given = [name for name in (*_KEYS, "sessionToken") if name in config]
        if given and not all(name in config for name in _KEYS):
            return f"{given[0]}: expected {_KEYS[0]} and {_KEYS[1]} together"
        if sum((bool(given), "profile" in config, "apiKey" in config)) > 1:
            return "expected one of apiKey, accessKeyId and profile, not several"
        try:
            region = _region(config)
        except ValueError as error:
            return f"profile: {error}"
        if region is None:
            return f"region: required, here or in {' or '.join(_REGION_VARIABLES)} or in the AWS profile"
        return super().validate_config(_with_url(config))

    async def configure(self, config: Config) -> None:
        config = _with_url(_with_key(config))
        self._base_model: str | None = config.get("baseModel")
        self._fields: Mapping[str, object] = config.get("additionalModelRequestFields", {})
        self._guardrail: Mapping[str, object] | None = config.get("guardrail")
        await super().configure(config)
        if "apiKey" not in config:
            self._signer = _signer(config)

    def encode(self, request: LLMRequest, model: str) -> EncodedRequest:
        encoded = super().encode(request, self._base_model or model)
        return self._completed(encoded) if self._fields or self._guardrail else encoded

    def _completed(self, encoded: EncodedRequest) -> EncodedRequest:
        """With what the configuration adds to every body."""
        body: dict[str, object] = dict(FIELDS.decode(encoded.body))
        if self._fields:
            translated = body.get("additionalModelRequestFields")
            own: dict[str, object] = dict(FIELDS.decode(translated)) if isinstance(translated, msgspec.Raw) else {}
            if isinstance(betas := own.get("anthropic_beta"), msgspec.Raw):  # the client's, beside the configuration's
                configured = self._fields.get("anthropic_beta")
                wanted = [*(configured if isinstance(configured, list) else []), *msgspec.json.decode(betas)]
                own["anthropic_beta"] = list(dict.fromkeys(wanted))
            body["additionalModelRequestFields"] = {**self._fields, **own}
        if self._guardrail:
            body["guardrailConfig"] = self._guardrail
        return msgspec.structs.replace(encoded, body=msgspec.json.encode(body))

    def request_out(self, request: LLMRequest) -> OutgoingRequest:
        model = self.model_for(request)
        encoded = self.encode(request, model)
        action = "converse-stream" if request.stream else "converse"
        return OutgoingRequest(
            target=self._target(model, action), body=encoded.body, headers=encoded.headers, dropped=encoded.dropped
        )

    def _target(self, model: str, action: str) -> str:
        # As botocore writes it: an ARN's slashes and every colon encoded.
        return f"{self.path}/{quote(model, safe='')}/{action}"

    async def authorize(self, outgoing: OutgoingRequest) -> OutgoingRequest:
        if self._signer is None:
            return outgoing
        given = {name.lower(): value for name, value in outgoing.headers.items()}
        # AWS wants its own headers signed; a request without a body may go out without a type.
        headers = {name: value for name, value in given.items() if name.startswith("x-amz-")}
        if outgoing.body or "content-type" in given:
            headers["content-type"] = given.get("content-type", "application/json")
        signed = await self._signer.sign(outgoing.method, outgoing.target, headers, outgoing.body)
        return msgspec.structs.replace(outgoing, headers={**outgoing.headers, **signed})

    def error_in(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return with_type(super().error_in(status, headers, body), headers.get("x-amzn-errortype"))

    def embedding_wire(self, model: str) -> EmbeddingWire:
        return bedrock_embeddings(self._base_model or model)

    def embedding_target(self, wire: EmbeddingWire, model: str) -> str:
        return self._target(model, "invoke")

    async def count_tokens(self, request: LLMRequest) -> LLMResponse:
        model = self.model_for(request)
        encoded = encode_count_request(request, self._base_model or model, self.count_translation(request))
        outgoing = OutgoingRequest(
            target=self._target(model, "count-tokens"), body=encoded.body, dropped=encoded.dropped
        )
        return await self.call(outgoing, request, decode_token_count)


def _with_key(config: Config) -> Config:
    """As AWS's own tools have it, a Bedrock API key in the environment goes before whatever else is found there."""
    key = os.environ.get(_TOKEN_VARIABLE)
    if not key or any(name in config for name in ("apiKey", "profile", *_KEYS)):
        return config
    return {**config, "apiKey": key}


def _region(config: Config) -> str | None:
    """Raises ValueError for a profile that cannot be read."""
    for region in (config.get("region"), *(os.environ.get(name) for name in _REGION_VARIABLES)):
        if region:
            return str(region)
    from providers.auth.aws_credentials import region_of_profile

    return region_of_profile(config.get("profile"))


def _with_url(config: Config) -> Config:
    if "baseUrl" in config:
        return config
    region = _region(config) or ""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return {**config, "baseUrl": f"https://bedrock-runtime.{region}.{domain}"}


def _signer(config: Config) -> SigV4Signer:
    from providers.auth.aws_credentials import AWSCredentials, found_credentials, static_credentials
    from providers.auth.sigv4 import SigV4Signer

    if _KEYS[0] in config:
        load = static_credentials(config["accessKeyId"], config["secretAccessKey"], config.get("sessionToken"))
    else:
        load = found_credentials(config.get("profile"))
    return SigV4Signer(AWSCredentials(load), _SIGNING_NAME, _region(config) or "", config["baseUrl"])
