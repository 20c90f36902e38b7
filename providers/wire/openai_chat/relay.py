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
    body = request.raw.body
    top = _TOP.decode(body)
    name = _ENCODER.encode(model)
    if not request.stream and bytes(top["model"]) == name:
        return body
    top["model"] = msgspec.Raw(name)
    if request.stream:
        top["stream_options"] = with_usage(top.get("stream_options"))
    return _ENCODER.encode(top)


def with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    """`stream_options` (or nothing, or null) with `include_usage` switched on."""
    data = b"" if options is None else bytes(options)
    merged = _TOP.decode(data) if data.startswith(b"{") else {}
    merged["include_usage"] = msgspec.Raw(b"true")
    return msgspec.Raw(_ENCODER.encode(merged))
