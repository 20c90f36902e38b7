"""Each fault does on the wire what it says."""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.replay import DELIVERIES, FAULTS, Answer, Fault, Play, ReplayServer
from conformance.replay.faults import (
    AFTER_HEAD,
    BEFORE_HEAD,
    BODIES,
    MAX_EVENT_BYTES,
    STATUSES,
    EarlyEnd,
    ErrorEvent,
    Fin,
    InvalidUTF8,
    MalformedEvent,
    OversizedEvent,
    Place,
    Reset,
    Stall,
    StatusFault,
    UnknownEvent,
    UnknownFields,
    after_events,
    at_byte,
    inside_event,
)
from providers.errors import ErrorKind
from providers.replay.recording import BUNDLED, Recording, load_recording, load_recordings
from tests.support.raw_client import RawResponse, fetch

TEXT = load_recording(BUNDLED / "openai-chat" / "stream" / "text.json")
REASONING = load_recording(BUNDLED / "anthropic-messages" / "stream" / "reasoning.json")
WHOLE = load_recording(BUNDLED / "openai-chat" / "json" / "text.json")
STREAMS = [TEXT, REASONING]

both_apis = pytest.mark.parametrize("recording", STREAMS, ids=lambda recording: recording.api)


async def played(recording: Recording, fault: Fault, delivery: str = "event", patience: float = 5.0) -> RawResponse:
    async with ReplayServer(Play(recording, DELIVERIES[delivery], fault)) as server:
        return await fetch(server.address, patience=patience)


def blocks(recording: Recording) -> list[bytes]:
    return Answer.of(recording).blocks


@both_apis
@pytest.mark.parametrize("delivery", ["event", "bytes-1", "split-chunks", "gzip", "until-close"])
async def test_fin_after_events(recording: Recording, delivery: str) -> None:
    response = await played(recording, Fin(after_events(3)), delivery)
    assert response.status == 200
    assert response.body == b"".join(blocks(recording)[:3])
    assert not response.reset
    # Without a length nothing in HTTP tells a cut body from a whole one: that is why this framing is here.
    assert response.complete == (delivery == "until-close")


@both_apis
async def test_fin_inside_an_event(recording: Recording) -> None:
    response = await played(recording, Fin(inside_event(2)))
    first, second, third = blocks(recording)[:3]
    assert response.body.startswith(first + second)
    assert len(first + second) < len(response.body) < len(first + second + third)
    assert not response.complete


@pytest.mark.parametrize("recording", [TEXT, WHOLE], ids=lambda recording: recording.kind)
async def test_fin_at_a_byte(recording: Recording) -> None:
    response = await played(recording, Fin(at_byte(77)))
    assert response.body == recording.response.body[:77]
    assert not response.complete


@pytest.mark.parametrize("place", [AFTER_HEAD, after_events(3), inside_event(3), at_byte(100)], ids=str)
async def test_reset_comes_after_the_bytes_before_it(place: Place) -> None:
    response = await played(TEXT, Reset(place))
    assert response.status == 200
    assert response.body == TEXT.response.body[: place.offset(Answer.of(TEXT))]
    assert response.reset


@pytest.mark.parametrize("fault", [Fin(BEFORE_HEAD), Reset(BEFORE_HEAD)], ids=lambda fault: type(fault).__name__)
async def test_the_connection_ends_before_the_head(fault: Fault) -> None:
    response = await played(TEXT, fault)
    assert response.reads == []
    assert response.reset == isinstance(fault, Reset)


@pytest.mark.parametrize("place", [BEFORE_HEAD, AFTER_HEAD, after_events(3), inside_event(3)], ids=str)
async def test_a_stall_says_nothing_more_and_stays_open(place: Place) -> None:
    response = await played(TEXT, Stall(place), patience=0.1)
    assert response.silent
    assert response.status == (None if place == BEFORE_HEAD else 200)
    assert response.body == TEXT.response.body[: max(0, place.offset(Answer.of(TEXT)))]


@given(place=st.sampled_from(["after-events", "inside-event", "at-byte"]), number=st.integers(0, 10_000))
def test_a_cut_always_bites(place: str, number: int) -> None:
    for recording in (*STREAMS, WHOLE):
        answer = Answer.of(recording)
        offset = Place(place, number).offset(answer)  # type: ignore[arg-type]
        assert 0 <= offset < len(answer.body)


@both_apis
@pytest.mark.parametrize("event", [0, 3])
async def test_an_error_event_ends_the_body_in_good_order(recording: Recording, event: int) -> None:
    response = await played(recording, ErrorEvent(event))
    assert response.complete
    got = Answer(headers=response.headers, body=response.body).blocks
    assert got[:-1] == blocks(recording)[:event]
    error = json.loads(got[-1].split(b"data: ")[1])["error"]
    assert error["message"]
    assert error["type"] == ("server_error" if recording.api == "openai-chat" else "overloaded_error")


@both_apis
@pytest.mark.parametrize(
    "fault", [MalformedEvent(2), InvalidUTF8(2), UnknownEvent(2)], ids=lambda fault: type(fault).__name__
)
async def test_an_event_is_put_in(recording: Recording, fault: Fault) -> None:
    response = await played(recording, fault)
    got = Answer(headers=response.headers, body=response.body).blocks
    strange = got.pop(2)
    assert got == blocks(recording)
    data = strange.split(b"data: ")[1]
    if isinstance(fault, UnknownEvent):
        assert "surprise" in strange.decode()
        json.loads(data)
    else:
        with pytest.raises(ValueError, match=r"Expecting|codec"):
            json.loads(data)
        assert b"\xff" in data or isinstance(fault, MalformedEvent)


@both_apis
def test_what_is_put_in_late_stands_before_the_terminator(recording: Recording) -> None:
    answer = MalformedEvent(10_000).edit(Answer.of(recording))
    assert b"broken" in answer.blocks[-2]
    assert answer.blocks[-1] == blocks(recording)[-1]


@pytest.mark.parametrize("recording", [*STREAMS, WHOLE], ids=lambda recording: f"{recording.api}-{recording.kind}")
def test_unknown_fields_change_nothing_else(recording: Recording) -> None:
    def documents(answer: Answer) -> list[dict[str, object]]:
        if answer.framing is None:
            return [json.loads(answer.body)]
        datas = [block.split(b"data: ")[1] for block in answer.blocks]
        return [json.loads(data) for data in datas if data.strip() != b"[DONE]"]

    original = Answer.of(recording)
    edited = documents(UnknownFields().edit(original))
    for document in edited:
        assert document.pop("x_triway_unknown") == {"nested": [1, None, "é"]}
    assert edited == documents(original)


@both_apis
def test_terminators(recording: Recording) -> None:
    answer = Answer.of(recording)
    last = answer.blocks[-1]
    assert FAULTS["duplicate-terminator"].edit(answer).blocks[-2:] == [last, last]
    missing = FAULTS["missing-terminator"].edit(answer)
    assert missing.blocks == answer.blocks[:-1]
    assert missing.complete_at == -1
    assert answer.complete_at == len(answer.body)


@both_apis
async def test_an_early_end_is_good_http(recording: Recording) -> None:
    response = await played(recording, EarlyEnd(3))
    assert response.complete
    assert response.body == b"".join(blocks(recording)[:3])


@pytest.mark.parametrize("size", [1024, MAX_EVENT_BYTES + 1024])
async def test_an_oversized_event_has_the_size_it_says(size: int) -> None:
    response = await played(TEXT, OversizedEvent(size), "whole")
    assert response.complete
    assert len(response.body) == len(TEXT.response.body) + size
    assert max(len(block) for block in Answer(headers=response.headers, body=response.body).blocks) == size


async def test_an_empty_body_and_a_wrong_content_type() -> None:
    empty = await played(TEXT, FAULTS["empty-body"])
    assert (empty.complete, empty.status, empty.body) == (True, 200, b"")
    html = await played(TEXT, FAULTS["wrong-content-type"])
    assert (html.status, html.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert html.body.startswith(b"<!doctype html>")


@both_apis
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", BODIES)
async def test_status_faults(recording: Recording, status: int, body: str) -> None:
    response = await played(recording, FAULTS[f"{status}-{body}"])
    assert response.complete
    assert response.status == status
    match body:
        case "json":
            error = json.loads(response.body)
            assert error["error"]["message"]
            assert (error.get("type") == "error") == (recording.api == "anthropic-messages")
        case "html":
            assert response.headers["content-type"] == "text/html"
            assert str(status).encode() in response.body
        case "empty":
            assert response.body == b""
            assert "content-type" not in response.headers


async def test_retry_after_in_seconds_and_as_a_date() -> None:
    seconds = await played(TEXT, StatusFault(429, retry_after=7))
    assert seconds.headers["retry-after"] == "7"
    before = time.time()
    date = await played(TEXT, StatusFault(429, retry_after=7, http_date=True))
    # A date has no fraction of a second: the next whole one.
    assert before + 7 <= parsedate_to_datetime(date.headers["retry-after"]).timestamp() <= time.time() + 8


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_says_what_it_is_and_what_must_be_seen(name: str) -> None:
    fault = FAULTS[name]
    assert fault.sentence
    for recording in load_recordings(BUNDLED):
        if not fault.fits(Answer.of(recording)):
            continue
        expected = fault.expect(Answer.of(recording))
        assert not (expected.in_band and (expected.status or expected.retried))
        assert not (expected.outcome == "error" and expected.same_answer)
        if recording.kind != "stream":
            assert not expected.in_band


def test_expectations_follow_the_place() -> None:
    answer = Answer.of(TEXT)
    before = Stall(AFTER_HEAD).expect(answer)
    assert (before.outcome, before.in_band, before.status, before.kinds) == ("error", False, 504, (ErrorKind.TIMEOUT,))
    assert Reset(inside_event(0)).expect(answer).in_band is False
    assert Reset(inside_event(1)).expect(answer).in_band is True
    # Cut inside a comment that comes after the terminator: the answer was whole.
    longer = msgspec.structs.replace(answer, body=answer.body + b": bye\n\n")
    assert Fin(at_byte(len(answer.body) + 2)).expect(longer).outcome == "success"
    assert OversizedEvent(1024).expect(answer).outcome == "success"
    assert OversizedEvent().expect(answer).outcome == "error"
    assert StatusFault(429, retry_after=3600).expect(answer).retried is False
    assert StatusFault(429, retry_after=1).expect(answer).retried is True
    assert StatusFault(404).expect(answer).retried is False
