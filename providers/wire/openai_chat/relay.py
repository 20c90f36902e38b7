"""The lossless lane: the client's own body, with only what routing must change. Does no I/O."""

from __future__ import annotations

import msgspec

from providers.model import LLMRequest

_TOP = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()


def relay_request(request: LLMRequest, model: str) -> bytes:
    """`request.raw` with the model's name replaced, and on streams with usage asked for.

    Every other parameter keeps its bytes and its place; white space between the parameters goes. Needs `raw`, as
    `decode_request` sets it.
    """
    assert request.raw is not None
    came, body = relayed_parameters(request, model)
    if not request.stream and came["model"] == body["model"]:
        return request.raw.body
    return _ENCODER.encode(body)


def relayed_parameters(request: LLMRequest, model: str) -> tuple[dict[str, msgspec.Raw], dict[str, msgspec.Raw]]:
    """The parameters as they came, and as they are relayed."""
    assert request.raw is not None
    came = _TOP.decode(request.raw.body)
    body = {**came, "model": msgspec.Raw(_ENCODER.encode(model))}
    if request.stream:
        body["stream_options"] = with_usage(came.get("stream_options"))
    return came, body


def with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    """`stream_options` (or nothing, or null) with `include_usage` switched on."""
    data = b"" if options is None else bytes(options)
    merged = _TOP.decode(data) if data.startswith(b"{") else {}
    merged["include_usage"] = msgspec.Raw(b"true")
    return msgspec.Raw(_ENCODER.encode(merged))
