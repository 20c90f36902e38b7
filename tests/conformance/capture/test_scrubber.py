"""Whole exchanges: wherever a secret stands, it does not reach the disk."""

from __future__ import annotations

import base64
import json
import string
import tempfile
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.capture.build import Choice, Unrecognised, build
from conformance.capture.captured import Captured, CapturedRequest
from conformance.capture.scrubber import Scrubber
from providers.replay.recording import Recording, load_recording, save_new_recording

BODY = {"model": "m-1", "messages": [{"role": "user", "content": "Hello there"}], "stream": True}
DELTAS = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("Hel", "lo.")]


def sse(events: list[Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def an_exchange(**changes: Any) -> Captured:
    request = CapturedRequest(
        method="POST",
        host="api.openai.com",
        path="/v1/chat/completions",
        headers=[("content-type", "application/json")],
        body=json.dumps(BODY).encode(),
    )
    captured = Captured(
        request=request, status=200, headers=[("content-type", "text/event-stream; charset=utf-8")], body=sse(DELTAS)
    )
    for name, value in changes.items():
        setattr(captured if hasattr(captured, name) and name != "headers" else request, name, value)
    return captured


def recorded(captured: Captured, scrubber: Scrubber | None = None) -> Recording:
    return build(captured, scrubber or Scrubber(), Choice())


SHOWN = {
    "authorization header": lambda secret, c: c.request.headers.append(("authorization", f"Bearer {secret}")),
    "basic credentials": lambda secret, c: c.request.headers.append(
        ("authorization", "Basic " + base64.b64encode(f"me:{secret}".encode()).decode())
    ),
    "x-api-key header": lambda secret, c: c.request.headers.append(("x-api-key", secret)),
    "cookie": lambda secret, c: c.request.headers.append(("cookie", f"a=b; session={secret}; c=d")),
    "query": lambda secret, c: setattr(c.request, "query", f"alt=sse&key={quote(secret, safe='')}&x=1"),
    "password in the URL": lambda secret, c: c.request.secrets.append(secret),
    "set-cookie": lambda secret, c: c.headers.append(("set-cookie", f"session={secret}; Path=/")),
    "a key in the request": lambda secret, c: put(c, {"tools": [{"type": "mcp", "headers": {"X-Api-Key": secret}}]}),
    "a key in an answer": lambda secret, c: setattr(c, "body", sse([*DELTAS, {"client_secret": secret}])),
}
"""Where an exchange says that something is a secret."""


def put(captured: Captured, more: dict[str, Any]) -> None:
    assert captured.request is not None
    captured.request.body = json.dumps({**json.loads(captured.request.body), **more}).encode()


def respell(captured: Captured, secret: str, cut: int) -> None:
    pieces = ("Your key is " + secret[:cut], secret[cut:] + " I think")
    more = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    captured.body = sse([*DELTAS, *more]) + captured.body


def echo_header(captured: Captured, secret: str) -> None:
    captured.headers.append(("x-debug", f"key={secret}; more"))


ECHOED = {
    "nowhere": lambda secret, cut, c: None,
    "path": lambda secret, cut, c: setattr(c.request, "path", f"/{quote(secret, safe='')}/chat/completions"),
    "another parameter": lambda secret, cut, c: setattr(
        c.request, "query", f"{c.request.query}&note=a{quote(secret, safe='')}"
    ),
    "another header": lambda secret, cut, c: c.request.headers.append(("x-note", f"it is {secret}")),
    "the prompt": lambda secret, cut, c: put(c, {"metadata": {"note": f"it is {secret}, right?"}}),
    "a key of the body": lambda secret, cut, c: put(c, {"metadata": {secret: 1}}),
    "a response header": lambda secret, cut, c: echo_header(c, secret),
    "the answer": lambda secret, cut, c: respell(c, secret, cut),
    "arguments": lambda secret, cut, c: setattr(
        c, "body", sse([{"arguments": json.dumps({"a": json.dumps([secret])})}]) + c.body
    ),
    "a comment": lambda secret, cut, c: setattr(c, "body", b": " + secret.encode() + b"\n\n" + c.body),
    "an error page": lambda secret, cut, c: (
        setattr(c, "status", 401),
        c.headers.__setitem__(0, ("content-type", "text/html")),
        setattr(c, "body", b"<p>Bad key " + secret.encode() + b"</p>" + c.body),
    ),
}
"""Where it comes again."""

SECRETS = st.text(alphabet=string.ascii_letters + string.digits + "-_./+~", min_size=10, max_size=40).map(
    lambda text: "Q7" + text.rstrip("./") + "z"
)


@given(
    SECRETS, st.sampled_from(sorted(SHOWN)), st.lists(st.sampled_from(sorted(ECHOED)), max_size=3), st.integers(1, 9)
)
def test_no_secret_reaches_the_disk(secret: str, shown: str, echoed: list[str], cut: int) -> None:
    captured = an_exchange()
    SHOWN[shown](secret, captured)  # type: ignore[no-untyped-call]
    for where in dict.fromkeys(echoed):
        ECHOED[where](secret, cut, captured)  # type: ignore[no-untyped-call]
    size = len(captured.body)
    captured.timing = [(1.0, size)]
    recording = recorded(captured)
    with tempfile.TemporaryDirectory() as folder:
        path = save_new_recording(recording, folder)
        description = path.read_bytes()
        body = path.with_suffix(".body").read_bytes()
        assert load_recording(path).timing == [(1.0, size)]
    assert len(body) == size
    for written in (description, body):
        text = written.decode()
        for spelled in (text, unquote(text), text.replace("\\/", "/")):
            assert secret not in spelled
    assert secret not in "".join(contents(body))
    assert recording.scrubbed
    assert path.name.startswith("m-1-hello-there")


def contents(body: bytes) -> list[str]:
    found = []
    for line in body.splitlines():
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])  # it is still JSON
            found += [choice["delta"]["content"] for choice in event.get("choices", ())]
    return found


def test_the_list_names_things_and_places_and_counts_them() -> None:
    captured = an_exchange(query="key=hush-0123456789")
    assert captured.request is not None
    captured.request.headers += [("authorization", "Bearer hush-0123456789"), ("x-note", "hush-0123456789")]
    put(captured, {"user": "hush-0123456789", "list": ["hush-0123456789 and hush-0123456789"]})
    captured.headers.append(("set-cookie", "a=b"))
    scrubbed = recorded(captured).scrubbed
    assert {(item.where, item.times) for item in scrubbed} == {
        ("request.headers.authorization", 1),
        ("request.headers.x-note", 1),
        ("request.query", 1),
        ("request.body.user", 1),
        ("request.body.list[0]", 2),
        ("response.headers.set-cookie", 1),
    }
    assert "hush" not in repr(scrubbed)


@pytest.mark.parametrize("name", ["x-auth-key", "x-pat", "x-whatever-it-is", "x-session", "traceparent"])
def test_a_request_header_that_is_not_known_is_left_out_and_listed(name: str) -> None:
    captured = an_exchange()
    assert captured.request is not None
    captured.request.headers += [
        (name, "hush0123456789abcdef"),
        ("host", "x"),
        ("accept", "*/*"),
        ("x-stainless-os", "a"),
    ]
    put(captured, {"user": "hush0123456789abcdef"})
    recording = recorded(captured)
    assert recording.request is not None
    assert set(recording.request.headers) == {"content-type", "accept", "x-stainless-os"}
    assert {item.where for item in recording.scrubbed} == {f"request.headers.{name}", "request.body.user"}
    assert "hush" not in repr(recording)


@pytest.mark.parametrize(
    "body",
    [
        {"credentials": {"a": "hush-0123", "b": [{"c": "hush-4567"}]}},
        {"pwd": "hush-0123"},
        {"metadata": {"pass": "hush-0123"}},
        {"auth": "hush-0123"},
    ],
)
def test_what_a_body_calls_secret_is_overwritten(body: dict[str, Any]) -> None:
    captured = an_exchange(query="code=hush-9999&country_code=at")
    put(captured, body)
    recording = recorded(captured)
    assert "hush" not in repr(recording)
    assert recording.request is not None
    assert recording.request.query == "country_code=at"


def test_a_path_never_shows_a_key_that_is_a_secret() -> None:
    captured = an_exchange()
    assert captured.request is not None
    captured.request.headers.append(("x-api-key", "hush-0123456789"))
    put(captured, {"hush-0123456789": {"password": "p"}, "a very long key, with words": {"password": "p"}})
    scrubbed = recorded(captured).scrubbed
    assert "hush" not in repr(scrubbed)
    assert "long" not in repr(scrubbed)


def test_what_one_exchange_showed_is_looked_for_in_the_next() -> None:
    scrubber = Scrubber()
    first = an_exchange()
    assert first.request is not None
    first.request.headers.append(("authorization", "Bearer hush-0123456789"))
    recorded(first, scrubber)
    second = an_exchange(body=sse([{"choices": [{"index": 0, "delta": {"content": "hush-0123456789"}}]}]))
    assert b"hush" not in recorded(second, scrubber).response.body


def test_a_short_word_as_a_key_does_not_take_that_word_out_of_the_answer() -> None:
    captured = an_exchange(body=sse([{"choices": [{"index": 0, "delta": {"content": "a test"}}]}]))
    assert captured.request is not None
    captured.request.headers.append(("authorization", "Bearer test"))
    recording = recorded(captured)
    assert b"a test" in recording.response.body
    assert "authorization" not in (recording.request.headers if recording.request else {})


@pytest.mark.parametrize(
    "header",
    [
        "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-tokens-reset",
        "x-amzn-bedrock-input-token-count",
        "retry-after",
    ],
)
def test_headers_that_count_tokens_stay(header: str) -> None:
    captured = an_exchange()
    captured.headers.append((header, "123"))
    assert recorded(captured).response.headers[header] == "123"


def test_amazon_signatures_are_taken_apart() -> None:
    value = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE01/20260101/us-east-1/bedrock/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )
    captured = an_exchange(status=403)
    assert captured.request is not None
    captured.request.headers += [("authorization", value), ("x-amz-security-token", "FwoGZXIvYXdzEBYaD")]
    captured.body = (
        b'{"message": "AKIDEXAMPLE01 with 5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"}'
    )
    recording = recorded(captured)
    assert b"AKID" not in recording.response.body
    assert b"5d67" not in recording.response.body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/messages/count_tokens"),
        ("GET", "/v1/chat/completions"),
    ],
)
def test_what_is_no_conversation_is_not_recorded(method: str, path: str) -> None:
    captured = an_exchange(method=method, path=path)
    for choice in (Choice(), Choice(api="openai-chat")):
        with pytest.raises(Unrecognised, match=f"{method} {path}"):
            build(captured, Scrubber(), choice)
