"""The framings: what is written can be read, what is cut can be joined, and a flipped bit is told."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.replay import DELIVERIES, FAULTS, Answer
from conformance.replay.faults import CorruptEvent, UnknownFields
from conformance.wires import WIRES, Event, WireFormat
from conformance.wires.framings import AMAZON, FRAMINGS, NDJSON, SSE, EventFraming

SHARED = Path(__file__).parents[3] / "shared" / "recordings"
JSON_OBJECTS = st.dictionaries(st.text(min_size=1), st.text() | st.integers(), min_size=1).map(json.dumps)
NAMES = st.from_regex(r"[a-z][a-zA-Z.]{0,20}", fullmatch=True)

each = pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)


def wire_in(framing: EventFraming) -> WireFormat:
    """An API that nobody speaks, in this framing, and without a terminator."""
    plain = WIRES["openai-chat"]
    return msgspec.structs.replace(plain, api=f"made-up-{framing.content_type}", framing=framing, terminator=None)


def answer_in(framing: EventFraming, monkeypatch: pytest.MonkeyPatch) -> Answer:
    wire = wire_in(framing)
    monkeypatch.setitem(WIRES, wire.api, wire)
    events = wire.synthetic(["a", "b", "c"])[:-1]
    body = b"".join(framing.write(event) for event in events)
    return Answer(headers={"content-type": framing.content_type}, body=body, api=wire.api)


@each
@given(events=st.lists(st.tuples(NAMES, JSON_OBJECTS), max_size=5))
def test_what_is_written_is_read_and_cut_at_its_ends(framing: EventFraming, events: list[tuple[str, str]]) -> None:
    blocks = [framing.write(Event(name, data)) for name, data in events]
    body = b"".join(blocks)
    assert framing.split(body) == blocks
    read = framing.read(body)
    assert [event.data for event in read] == [data for _, data in events]
    if framing is not NDJSON:  # which has no names
        assert [event.name for event in read] == [name for name, _ in events]


@each
@given(body=st.binary(max_size=300))
def test_any_bytes_can_be_cut_and_read(framing: EventFraming, body: bytes) -> None:
    assert b"".join(framing.split(body)) == body
    framing.read(body)


@each
@given(data=JSON_OBJECTS)
def test_an_event_s_data_is_edited_and_nothing_else(framing: EventFraming, data: str) -> None:
    block = framing.write(Event("some", data))
    assert framing.edit(block, lambda old: old) == block
    assert framing.read(framing.edit(block, lambda old: b"[" + old + b"]"))[0].data == f"[{data}]"


@pytest.mark.parametrize("place", range(40))
def test_a_flipped_bit_of_a_frame_is_told(place: int) -> None:
    block = AMAZON.write(Event("contentBlockDelta", '{"x":1}'))
    broken = block[:place] + bytes((block[place] ^ 1,)) + block[place + 1 :]
    assert AMAZON.read(block) == [Event("contentBlockDelta", '{"x":1}')]
    assert {event.name for event in AMAZON.read(broken)} == {"broken-frame"}


def test_exceptions_in_frames_are_marked() -> None:
    error = Event("throttlingException", '{"message":"slow down"}', exception=True)
    assert AMAZON.read(AMAZON.write(error)) == [error]


def test_recorded_frames_are_read_and_written_again() -> None:
    found = sorted(SHARED.glob("bedrock-converse/stream/*.body"))
    if not found:
        pytest.skip("the shared recordings are not here")
    for path in found:
        body = path.read_bytes()
        events = AMAZON.read(body)
        assert {"messageStart", "messageStop", "metadata"} <= {event.name for event in events}
        assert all(event.json() is not None for event in events)
        assert all(AMAZON.edit(block, lambda data: data) == block for block in AMAZON.split(body))


@each
@pytest.mark.parametrize("name", DELIVERIES)
def test_every_delivery_that_fits_says_the_same(
    framing: EventFraming, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = answer_in(framing, monkeypatch)
    delivery = DELIVERIES[name]
    rewritten = delivery.rewrite(answer)
    assert delivery.fits(answer) or rewritten == answer
    assert framing.read(rewritten.body) == framing.read(answer.body)
    assert b"".join(piece.data for piece in delivery.cut(rewritten)) == rewritten.body


def test_what_makes_no_sense_for_a_framing_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    fitting = {
        framing: {
            *(name for name, delivery in DELIVERIES.items() if delivery.fits(answer_in(framing, monkeypatch))),
            *(name for name, fault in FAULTS.items() if fault.fits(answer_in(framing, monkeypatch))),
        }
        for framing in (SSE, NDJSON, AMAZON)
    }
    assert fitting[SSE] - fitting[NDJSON] == {"cr", "comments"}
    assert fitting[NDJSON] - fitting[AMAZON] == {"crlf"}
    assert fitting[AMAZON] - fitting[SSE] == {"corrupt-event"}
    assert not {"missing-terminator", "duplicate-terminator"} & fitting[SSE], "there is no terminator"


@each
@pytest.mark.parametrize("name", ["malformed-late", "unknown-event", "invalid-utf8", "large-event", "error-late"])
def test_what_is_put_in_is_an_event_of_the_framing(
    framing: EventFraming, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = answer_in(framing, monkeypatch)
    before, after = framing.read(answer.body), framing.read(FAULTS[name].edit(answer).body)
    assert "broken-frame" not in {event.name for event in after}
    if name == "error-late":
        assert after[:3] == before[:3]
        assert wire_in(framing).error_of_event(after[3]) is not None
        return
    strange = [event for event in after if event not in before]
    assert len(strange) == 1
    assert [event for event in after if event in before] == before
    assert (strange[0].json() is None) == (name == "malformed-late")


@each
def test_unknown_fields_and_corruption(framing: EventFraming, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = answer_in(framing, monkeypatch)
    edited = framing.read(UnknownFields().edit(answer).body)
    assert all("x_triway_unknown" in event.json() for event in edited)
    fault = CorruptEvent(2)
    if fault.fits(answer):
        assert [event.name for event in framing.read(fault.edit(answer).body)].index("broken-frame") == 2


@each
def test_without_a_terminator_the_finish_reason_says_that_it_is_whole(
    framing: EventFraming, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = answer_in(framing, monkeypatch)
    finish = next(part for part in answer.parts if part.finishes)
    assert answer.complete_at == finish.end < len(answer.body)
    assert not any(part.terminates for part in answer.parts)
