"""Requests, from a client and for a provider. Does no I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from providers.errors import RequestError
from providers.model import LLMRequest, Message, RawBody, RequestMetadata, TextPart
from providers.wire.base import EncodedRequest, Translation
from providers.wire.openai_chat.parameters import HINTS
from providers.wire.openai_chat.relay import with_usage
from providers.wire.openai_chat.request_errors import decode_parameter, invalid_value, not_json, required
from providers.wire.openai_completions.api import API

_Decoder = msgspec.json.Decoder

_TOP = _Decoder(dict[str, msgspec.Raw])
_STRING = _Decoder(str)
_PROMPT = _Decoder(str | list[str | int | list[int]])
_STOP = _Decoder(str | list[str])
_STREAM_OPTIONS = _Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()
_NULL = msgspec.Raw(b"null")
_TRUE = msgspec.Raw(b"true")

_PLAIN: dict[str, _Decoder[Any]] = {
    "stream": _Decoder(bool),
    "max_tokens": _Decoder(int),
    "temperature": _Decoder(float),
    "top_p": _Decoder(float),
    "seed": _Decoder(int),
    "frequency_penalty": _Decoder(float),
    "presence_penalty": _Decoder(float),
    "logit_bias": _Decoder(dict[str, float]),
    "n": _Decoder(int),
}
"""Parameters that are a field of the same name in the model."""

_READ = frozenset({*_PLAIN, "model", "prompt", "stop", "stream_options", "user"})

_WHY = "a prompt to be continued is no conversation"


def decode_request(body: bytes) -> LLMRequest:
    """The request, with `raw` set, bound to this API. Raises `RequestError` that names the field that is wrong."""
    try:
        top = _TOP.decode(body)
    except msgspec.ValidationError as error:
        raise RequestError("the request body must be a JSON object", code="invalid_json") from error
    except (ValueError, RecursionError) as error:
        raise not_json(error) from error
    given = {name: raw for name, raw in top.items() if raw != _NULL}
    model = decode_parameter(_STRING, "model", given["model"]) if "model" in given else ""
    if not model:
        raise required("model")
    request = LLMRequest(model=model, metadata=RequestMetadata(api=API), raw=RawBody(API, body), bound={"prompt": _WHY})
    if "prompt" in given:
        _read_prompt(request, given["prompt"])
    for name, decoder in _PLAIN.items():
        if name in given:
            setattr(request, name, decode_parameter(decoder, name, given[name]))
    if "stop" in given:
        stop = decode_parameter(_STOP, "stop", given["stop"])
        request.stop = [stop] if isinstance(stop, str) else stop
    if "stream_options" in given:
        options = decode_parameter(_STREAM_OPTIONS, "stream_options", given["stream_options"])
        request.include_usage = options.get("include_usage") == _TRUE
        request.hints["stream_options"] = given["stream_options"]
    if "user" in given:
        request.metadata.user_id = decode_parameter(_STRING, "user", given["user"])
    for name, raw in given.items():
        if name not in _READ:
            (request.hints if name in HINTS else request.extra)[name] = raw
    return request


def _read_prompt(request: LLMRequest, raw: msgspec.Raw) -> None:
    """One text is a message; several prompts, and tokens, are only relayed."""
    prompt = decode_parameter(_PROMPT, "prompt", raw)
    if isinstance(prompt, list) and not prompt:
        raise invalid_value("prompt", "at least one prompt", "an empty array")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if isinstance(prompt, str):
        request.messages = [Message(role="user", content=[TextPart(text=prompt)])]
    else:
        request.extra["prompt"] = raw


def encode_request(request: LLMRequest, model: str, translation: Translation) -> EncodedRequest:
    """A request that came through this API and was changed. Raises `RequestError` for one of another API."""
    if request.metadata.api not in ("", API):
        raise RequestError("a conversation cannot be sent as a prompt to be continued", status=400)
    body: dict[str, Any] = {"model": model}
    if request.messages:
        body["prompt"] = "".join(message.text for message in request.messages)
    for name in _PLAIN:
        value = getattr(request, name)
        if value is not None and name != "stream":
            body[name] = value
    if request.stop:
        body["stop"] = request.stop
    if request.metadata.user_id is not None:
        body["user"] = request.metadata.user_id
    body |= {name: raw for name, raw in request.hints.items() if name != "stream_options"} | request.extra
    if request.stream:
        body["stream"] = True
        body["stream_options"] = with_usage(request.hints.get("stream_options"))
    return EncodedRequest(body=_ENCODER.encode(body), dropped=list(translation.dropped))
