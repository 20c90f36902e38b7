"""Secrets in bodies: found however JSON hides them, overwritten without moving a byte."""

from __future__ import annotations

import itertools
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.capture.frames import make_frame, parts_of
from conformance.capture.scrub_body import scrub_body
from providers.replay.events import AMAZON_EVENT_STREAM, EVENT_STREAM, split_events
from tests.support.recordings import recordings

SECRET = 'hush/Hush+"\\hüsh=42'
KNOWN = {SECRET: "key", SECRET.encode().decode("latin-1"): "key", json.dumps(SECRET)[1:-1]: "key"}
JSON_TYPE = "application/json"


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def delta(content: str, index: int = 0) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": content}, "index": index}]}


def contents(body: bytes, index: int = 0) -> str:
    """What a client reads: the deltas of one choice put together."""
    events = [json.loads(event.removeprefix(b"data: ")) for event in split_events(body, EVENT_STREAM)]
    return "".join(e["choices"][0]["delta"]["content"] for e in events if e["choices"][0]["index"] == index)


@pytest.mark.parametrize(
    "secret",
    [
        "sk-abcdefghijklmnopqrst",
        "sk-proj-Abc_def-0123456789ABCDEF",
        "sk-ant-api03-abcdefgh-0123456789",
        "AIzaSyA0123456789abcdefghijklmnopqrstuv",
        "AKIAIOSFODNN7EXAMPLE",
        "gsk_0123456789abcdefghijABCDEFGHIJ",
        "hf_abcdefghijklmnopqrstuvwxyzABCDEF",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "xai-0123456789abcdefghijABCDEFGHIJ",
        "ya29.a0AfH6SMBx-abcdefghijk_lmnop",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "ABSKQmVkcm9ja0FQSUtleS0wMTIzNDU2Nzg5MDEyMzQ1Njc4OQ==",
    ],
)
@pytest.mark.parametrize("around", ["{}", "use {}, please", "Authorization: Bearer {}\n", "key={}", "a\n{}"])
def test_what_looks_like_a_key_is_overwritten(secret: str, around: str) -> None:
    body = json.dumps({"content": around.format(secret)}).encode()
    scrubbed = scrub_body(body, JSON_TYPE, {})
    assert json.loads(scrubbed.body) == {"content": around.format("x" * len(secret))}
    assert [finding.path for finding in scrubbed.findings] == [".content"]


@pytest.mark.parametrize(
    "text",
    [
        "risk-assessment-of-something-rather-long",
        "task-0123456789abcdefghij",
        "the bearer of this letter",
        "Basic understanding",
        "AKIA is how they begin",
        "https://example.com/search?q=keys&page=2",
        "****bold**** and ***",
        "max_tokens and token",
    ],
)
def test_words_are_left_alone(text: str) -> None:
    body = json.dumps({"content": text, "token": " Hello", "max_tokens": 100, "key": "a word"}).encode()
    assert scrub_body(body, JSON_TYPE, {}).body == body


@pytest.mark.parametrize(
    "key", ["api_key", "apiKey", "X-Api-Key", "OPENAI_API_KEY", "authorization", "client_secret", "password", "cookie"]
)
def test_what_stands_under_a_telling_key_is_overwritten(key: str) -> None:
    body = json.dumps({"a": [{key: "p1"}], "b": {key: 12345, "c": 12345}, "d": {key: ["p2", "p3"]}}).encode()
    scrubbed = scrub_body(body, JSON_TYPE, {})
    assert json.loads(scrubbed.body) == {
        "a": [{key: "xx"}],
        "b": {key: 11111, "c": 12345},
        "d": {key: ["xx", "xx"]},
    }
    assert [finding.path for finding in scrubbed.findings] == [
        f".a[0].{key}",
        f".b.{key}",
        f".d.{key}[0]",
        f".d.{key}[1]",
    ]


def test_a_schema_that_speaks_of_keys_is_no_secret() -> None:
    schema = {"properties": {"api_key": {"type": "string", "description": "the key"}}, "required": ["api_key"]}
    body = json.dumps({"tools": [{"parameters": schema}]}).encode()
    assert scrub_body(body, JSON_TYPE, {}).findings == []


def test_an_opaque_token_is_a_secret_and_a_models_token_is_none() -> None:
    body = json.dumps({"token": "0f3a9c71d2e84b65aa10", "logprobs": [{"token": "Hello", "logprob": -0.1}]}).encode()
    assert json.loads(scrub_body(body, JSON_TYPE, {}).body) == {
        "token": "x" * 20,
        "logprobs": [{"token": "Hello", "logprob": -0.1}],
    }


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://h/a?X-Amz-Signature=abc&x=1", "https://h/a?X-Amz-Signature=xxx&x=1"),
        ("https://h/a?se=1&sig=a%2Bb", "https://h/a?se=1&sig=xxxxx"),
        ("https://h/a?x=1&amp;key=abc", "https://h/a?x=1&amp;key=xxx"),
        ("https://user:hush@h/a", "https://user:xxxx@h/a"),
        ("(https://h/?access_token=abc)", "(https://h/?access_token=xxx)"),
    ],
)
def test_signed_urls_lose_their_signatures(url: str, clean: str) -> None:
    found = scrub_body(json.dumps({"url": url}).encode(), JSON_TYPE, {})
    assert json.loads(found.body)["url"].rstrip("x)") == clean.rstrip("x)")
    assert len(found.body) == len(json.dumps({"url": url}))
    assert found.findings


def test_an_escaped_ampersand_still_begins_a_parameter() -> None:
    body = rb'{"url": "https://h/a?x=1\u0026sig=hush"}'
    assert scrub_body(body, JSON_TYPE, {}).body == rb'{"url": "https://h/a?x=1\u0026sig=xxxx"}'


@pytest.mark.parametrize("masked", ["hush/***=42", "Your key hush**** is wrong", "(********h=42)"])
def test_a_masked_secret_is_one_too(masked: str) -> None:
    known = {"hush-0123456789-h=42": "key", "hush/0123456789=42": "key"}
    scrubbed = scrub_body(json.dumps({"message": masked}).encode(), JSON_TYPE, known)
    assert "hush" not in json.loads(scrubbed.body)["message"]
    assert scrubbed.findings


@given(
    st.lists(st.integers(0, len(SECRET)), max_size=6).map(sorted),
    st.booleans(),
    st.text(max_size=5),
    st.text(max_size=5),
)
def test_a_secret_that_a_model_spells_in_pieces(cuts: list[int], ascii_only: bool, before: str, after: str) -> None:
    borders = [0, *cuts, len(SECRET)]
    pieces = [SECRET[start:end] for start, end in itertools.pairwise(borders)]
    pieces = [before + pieces[0], *pieces[1:-1], pieces[-1] + after] if len(pieces) > 1 else [before + SECRET + after]
    # Another choice speaks in between.
    events = [event for piece in pieces for event in (delta(piece), delta("so ", 1))]
    body = b"".join(
        b"data: " + json.dumps(event, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + b"\n\n"
        for event in events
    )
    scrubbed = scrub_body(body, EVENT_STREAM, KNOWN)
    assert len(scrubbed.body) == len(body)
    read = contents(scrubbed.body)
    assert SECRET not in read
    assert read.startswith(before)
    assert read.endswith(after)
    assert contents(scrubbed.body, 1) == "so " * len(pieces)


@given(st.data())
def test_a_secret_in_the_arguments_of_a_tool_call(data: st.DataObject) -> None:
    depth = data.draw(st.integers(1, 3))
    value: Any = {"api_key": "Pa$$ wörd", "note": SECRET, "n": 1}
    text = json.dumps(value)
    for _ in range(depth - 1):
        text = json.dumps({"inner": text})
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    borders = [0, *cuts, len(text)]
    body = sse(*(delta(text[start:end]) for start, end in itertools.pairwise(borders)))
    scrubbed = scrub_body(body, EVENT_STREAM, KNOWN)
    assert len(scrubbed.body) == len(body)
    read = json.loads(contents(scrubbed.body))
    for _ in range(depth - 1):
        read = json.loads(read["inner"])
    assert set(read["api_key"]) == {"x"}
    assert set(read["note"]) == {"x"}
    assert read["n"] == 1
    assert scrubbed.secrets == {"Pa$$ wörd": "value of a key `api_key`"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | st.just("password"), inner, max_size=4)
        ),
        max_leaves=12,
    ),
    st.sampled_from(["12345678", "abcdefgh", "e+10", '"', "\\u00", "null", "1"]),
    st.booleans(),
)
def test_scrubbed_json_is_json_of_the_same_length(document: Any, literal: str, ascii_only: bool) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    scrubbed = scrub_body(body, JSON_TYPE, {literal * 2: "key"})
    assert len(scrubbed.body) == len(body)
    json.loads(scrubbed.body.decode("utf-8", "surrogatepass"))


@given(
    st.binary(max_size=300), st.sampled_from(["", JSON_TYPE, EVENT_STREAM, AMAZON_EVENT_STREAM, "application/x-ndjson"])
)
def test_any_bytes_keep_their_length(body: bytes, media_type: str) -> None:
    assert len(scrub_body(body, media_type, KNOWN).body) == len(body)


def test_amazon_frames_are_sealed_again() -> None:
    def event(text: str) -> bytes:
        payload = json.dumps({"contentBlockIndex": 0, "delta": {"text": text}}).encode()
        return make_frame({":event-type": "contentBlockDelta", ":content-type": JSON_TYPE}, payload)

    body = event("the key is sk-abcdefg") + event("hijklmnopqrstuv") + event(", yes")
    scrubbed = scrub_body(body, AMAZON_EVENT_STREAM, {})
    frames = split_events(scrubbed.body, AMAZON_EVENT_STREAM)
    assert [len(frame) for frame in frames] == [
        len(event(text)) for text in ("the key is sk-abcdefg", "hijklmnopqrstuv", ", yes")
    ]
    texts = []
    for frame in frames:
        parts = parts_of(frame)
        assert parts is not None
        assert zlib.crc32(frame[:-4]) == int.from_bytes(frame[-4:], "big")
        texts.append(json.loads(frame[slice(*parts[1])])["delta"]["text"])
    assert texts == ["the key is " + "x" * 10, "x" * 15, ", yes"]


def test_a_body_that_is_no_json() -> None:
    page = f"<html title='x'>Bad key: {SECRET} or sk-abcdefghijklmnopqrst</html>".encode()
    scrubbed = scrub_body(page, "text/html", KNOWN)
    assert SECRET.encode() not in scrubbed.body
    assert b"sk-" not in scrubbed.body
    assert len(scrubbed.body) == len(page)


def test_an_escape_is_not_cut_in_two() -> None:
    """The bytes `nsecret42` stand there, but the text is a line end and `secret42`."""
    body = rb'{"a": "line\nsecret42", "b": "nsecret42"}'
    scrubbed = scrub_body(body, JSON_TYPE, {"nsecret42": "key"})
    assert scrubbed.body == rb'{"a": "line\nsecret42", "b": "xxxxxxxxx"}'


def test_scrubbing_twice_finds_nothing_new() -> None:
    body = json.dumps({"api_key": "hush-hush", "password": 1234, "text": "sk-abcdefghijklmnopqrst"}).encode()
    once = scrub_body(body, JSON_TYPE, {})
    assert len(once.findings) == 3
    assert scrub_body(once.body, JSON_TYPE, {}).findings == []


@pytest.mark.parametrize(
    "recording", [*recordings("openai-chat", "stream"), *recordings("anthropic-messages", "stream")]
)
def test_nothing_is_found_in_clean_recordings(recording: Any) -> None:
    scrubbed = scrub_body(recording.response.body, recording.content_type, {})
    assert scrubbed.findings == []
    assert scrubbed.body == recording.response.body
