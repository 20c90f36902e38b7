"""`HTTPProvider`'s deadlines, retries and the loop over the stream, on a clock of their own and a scripted upstream."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from providers import (
    Accumulator,
    BadResponseError,
    ChunkEmitter,
    EventKind,
    GatewayError,
    HTTPProvider,
    LLMRequest,
    LLMResponse,
    OutgoingRequest,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    SSEvent,
    extension,
    finish_chunk,
    http_schema,
    text_chunk,
    text_response,
)
from providers.http import provider as module
from providers.http.retry import RetryPolicy
from providers.retry_budget import RetryBudget
from providers.transport.base import Headers


def sse(data: object) -> bytes:
    return b"data: %b\n\n" % json.dumps(data).encode()


TEXT, END, DONE, PING = sse({"text": "a"}), sse({"why": "stop"}), sse({"done": 1}), b": ping\n\n"
FOREVER = math.inf


@extension(name="words", version="1.0.0", description="", configuration_schema=http_schema())
class Words(HTTPProvider):
    def request_out(self, request: LLMRequest) -> OutgoingRequest:
        return OutgoingRequest(target="/words", body=b"{}")

    def response_in(self, body: bytes, request: LLMRequest) -> LLMResponse:
        return text_response(json.loads(body)["text"])

    def chunk_in(self, event: SSEvent, request: LLMRequest) -> LLMResponse | None:
        data = json.loads(event.data or b"")
        if "text" in data:
            return text_chunk(data["text"])
        return finish_chunk(data["why"]) if "why" in data else LLMResponse(kind=EventKind.DONE)


class Answer:
    """A response whose body comes as scripted: seconds to wait, then bytes or an error; at the end the body's end."""

    def __init__(
        self,
        script: Iterable[tuple[float, bytes | Exception]] = (),
        *,
        status: int = 200,
        content_type: str = "text/event-stream",
        head_after: float = 0.0,
        **headers: str,
    ) -> None:
        self.status = status
        named = {"content-type": content_type, **{k.replace("_", "-"): v for k, v in headers.items()}}
        self.headers: Headers = [(name.encode(), value.encode()) for name, value in named.items()]
        self.head_after = head_after
        self.handed_out = False
        self.closed = False
        self._script = iter(script)

    async def receive(self) -> bytes:
        delay, data = next(self._script, (0.0, b""))
        await trio.sleep(delay)
        if isinstance(data, Exception):
            raise data
        return data

    def close(self) -> None:
        self.closed = True


class ScriptedUpstream:
    """Answers in order; an exception is raised instead."""

    open_connections = used_slots = 0

    def __init__(self, *answers: Answer | Exception) -> None:
        self._answers = iter(answers)
        self.asked_at: list[float] = []
        self.asked: list[tuple[bytes, dict[bytes, bytes]]] = []

    async def request(self, method: bytes, target: bytes, headers: Headers, body: bytes) -> Answer:
        self.asked_at.append(trio.current_time())
        self.asked.append((target, dict(headers)))
        answer = next(self._answers)
        if isinstance(answer, Exception):
            await trio.lowlevel.checkpoint()
            raise answer
        await trio.sleep(answer.head_after)
        answer.handed_out = True
        return answer

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class Client(ChunkEmitter):
    """Takes `delay` seconds for each batch."""

    def __init__(self, delay: float = 0.0) -> None:
        self.accumulator = Accumulator()
        self.error: GatewayError | None = None
        self.final = False
        self.firsts: list[bool] = []
        self._delay = delay

    async def emit_chunk(self, chunk: LLMResponse, first: bool = False, final: bool = False) -> None:
        self.final = self.final or final
        if not final:
            await self.emit_batch([chunk], first)

    async def emit_batch(self, chunks: Sequence[LLMResponse], first: bool = False) -> None:
        self.firsts.append(first)
        for chunk in chunks:
            if chunk.kind is EventKind.CHUNK:
                self.accumulator.add(chunk)
        await trio.sleep(self._delay)

    async def emit_error(self, error: GatewayError) -> None:
        self.error = error

    @property
    def text(self) -> str:
        return "".join(choice.message.text for choice in self.accumulator.response().choices if choice.message)


@asynccontextmanager
async def provider(
    *answers: Answer | Exception, cls: type[Words] = Words, **config: Any
) -> AsyncIterator[tuple[Words, ScriptedUpstream]]:
    words = cls()
    await words.configure({"baseUrl": "http://127.0.0.1:9", "retryAttempts": 0, **config})
    await words.upstream.aclose()
    upstream = ScriptedUpstream(*answers)
    words.upstream = upstream
    yield words, upstream
    for answer in answers:
        assert not isinstance(answer, Answer) or answer.closed == answer.handed_out, "a response was left open"


def streamed() -> LLMRequest:
    return LLMRequest(model="m", stream=True)


async def timed_out(words: Words, phase: str, client: Client | None = None) -> float:
    """Seconds until the call failed of this deadline, raised or emitted."""
    started = trio.current_time()
    client = client or Client()
    error: GatewayError | None = None
    try:
        await words.execute_streaming(streamed(), client)
    except ProviderError as caught:
        error = caught
    error = error or client.error
    assert isinstance(error, ProviderTimeoutError), error
    assert error.phase == phase
    assert error.status == 504
    assert not client.final
    return trio.current_time() - started


async def test_a_stream_s_events_are_passed_on_and_ended(autojump_clock: MockClock) -> None:
    answer = Answer([(0.1, PING), (0.1, TEXT), (0.1, TEXT + END), (0, DONE)])
    async with provider(answer) as (words, _):
        client = Client()
        await words.execute_streaming(streamed(), client)
    assert (client.text, client.final, client.error) == ("aa", True, None)
    assert client.firsts == [True, False, False]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(head_after=FOREVER),
        Answer([(FOREVER, b"")]),
        Answer([(0.5, PING)] * 100),
        Answer([(0.5, b"data: ")] * 99),
    ],
    ids=["no head", "no body", "keep-alives only", "an event that never ends"],
)
async def test_the_first_event_has_a_deadline(autojump_clock: MockClock, answer: Answer) -> None:
    async with provider(answer, firstTokenTimeout=3000) as (words, _):
        assert await timed_out(words, "first_token") == pytest.approx(3)


async def test_keep_alives_do_not_lift_the_first_token_s_deadline_when_the_client_has_seen_them(
    autojump_clock: MockClock,
) -> None:
    async with provider(Answer([(1, PING)] * 1000), firstTokenTimeout=30_000) as (words, _):
        client = Client()
        assert await timed_out(words, "first_token", client) == pytest.approx(30)
    assert client.firsts[0], "after KEEP_ALIVE_PATIENCE the client got keep-alives"


async def test_a_late_first_event_after_keep_alives_lifts_it(autojump_clock: MockClock) -> None:
    script = [(1.0, PING)] * 20 + [(1.0, TEXT)] * 20 + [(1.0, END)]
    async with provider(Answer(script), firstTokenTimeout=30_000) as (words, _):
        client = Client()
        await words.execute_streaming(streamed(), client)
    assert (client.text, client.error) == ("a" * 20, None)


async def test_the_gap_between_two_reads_has_a_deadline(autojump_clock: MockClock) -> None:
    async with provider(Answer([(0, TEXT), (1.9, TEXT), (FOREVER, b"")]), idleTimeout=2000) as (words, _):
        client = Client()
        assert await timed_out(words, "idle", client) == pytest.approx(3.9)
    assert client.text == "aa"


async def test_keep_alives_in_mid_stream_are_signs_of_life(autojump_clock: MockClock) -> None:
    answer = Answer([(0, TEXT), *[(1.5, PING)] * 10, (1.5, END)])
    async with provider(answer, idleTimeout=2000) as (words, _):
        client = Client()
        await words.execute_streaming(streamed(), client)
    assert (client.final, client.error) == (True, None)


async def test_the_time_that_a_slow_client_takes_is_not_the_provider_s_silence(autojump_clock: MockClock) -> None:
    async with provider(Answer([(0.1, TEXT)] * 5 + [(0.1, END)]), idleTimeout=1000) as (words, _):
        client = Client(delay=30)
        await words.execute_streaming(streamed(), client)
    assert (client.text, client.final, client.error) == ("aaaaa", True, None)


async def test_a_long_idle_timeout_strikes_at_most_an_eighth_late(autojump_clock: MockClock) -> None:
    answer = Answer([(0, TEXT), *[(9, TEXT)] * 20, (FOREVER, b"")])
    async with provider(answer, idleTimeout=80_000) as (words, _):
        assert 180 + 80 <= await timed_out(words, "idle") <= 180 + 90


async def test_a_slow_client_has_three_quarters_of_a_long_idle_timeout_for_each_write(
    autojump_clock: MockClock,
) -> None:
    answer = Answer([(0, TEXT), *[(75, TEXT)] * 3, *[(0.1, TEXT)] * 3, (75, END)])
    async with provider(answer, idleTimeout=80_000, timeout=3_600_000) as (words, _):
        client = Client(delay=59)
        await words.execute_streaming(streamed(), client)
    assert (client.text, client.final, client.error) == ("a" * 7, True, None)


async def test_a_long_idle_timeout_does_not_outlive_the_whole_answer_s_deadline(autojump_clock: MockClock) -> None:
    async with provider(Answer([(1.0, TEXT)] * 100), idleTimeout=80_000, timeout=50_000) as (words, _):
        assert await timed_out(words, "total") == pytest.approx(50)


@pytest.mark.parametrize("script", [[(1.0, TEXT)] * 100, [(FOREVER, b"")]], ids=["goes on", "never begins"])
async def test_the_whole_answer_has_a_deadline(autojump_clock: MockClock, script: list[tuple[float, bytes]]) -> None:
    async with provider(Answer(script), timeout=5000) as (words, _):
        assert await timed_out(words, "total") == pytest.approx(5)


@pytest.mark.parametrize(
    "answer",
    [Answer(head_after=FOREVER), Answer([(1, b"{")] * 100, content_type="application/json")],
    ids=["head", "body"],
)
async def test_a_whole_answer_has_the_same_deadline(autojump_clock: MockClock, answer: Answer) -> None:
    async with provider(answer, timeout=5000) as (words, _):
        with pytest.raises(ProviderTimeoutError) as error:
            await words.execute(LLMRequest(model="m"))
        assert trio.current_time() == pytest.approx(5, abs=0.01) or error.value.phase == "total"
    assert error.value.phase == "total"


@pytest.mark.parametrize(
    "rest",
    [[(FOREVER, b"")], [(0.1, PING)] * 100, [(0.1, ProviderConnectionError("reset"))]],
    ids=["silence", "keep-alives without end", "reset"],
)
async def test_after_the_terminator_the_body_s_end_is_awaited_only_briefly(
    autojump_clock: MockClock,
    rest: list[tuple[float, bytes | Exception]],
) -> None:
    async with provider(Answer([(0, TEXT), (0, END), (0, DONE), *rest])) as (words, _):
        client, started = Client(), trio.current_time()
        await words.execute_streaming(streamed(), client)
        assert trio.current_time() - started <= module.AFTER_DONE_GRACE + 0.01
    assert (client.text, client.final, client.error) == ("a", True, None)


async def test_a_broken_connection_before_the_end_is_an_error_in_band(autojump_clock: MockClock) -> None:
    async with provider(Answer([(0, TEXT), (0, ProviderConnectionError("reset"))]), retryAttempts=3) as (words, up):
        client = Client()
        await words.execute_streaming(streamed(), client)
        assert len(up.asked_at) == 1
    assert isinstance(client.error, ProviderConnectionError)
    assert not client.final


async def test_a_whole_json_answer_to_a_stream_request_becomes_a_stream(autojump_clock: MockClock) -> None:
    answer = Answer([(0, b'{"text": '), (0, b'"all"}')], content_type="application/json; charset=utf-8")
    async with provider(answer) as (words, _):
        client = Client()
        await words.execute_streaming(streamed(), client)
    assert (client.text, client.final) == ("all", True)
    assert client.accumulator.response().choices[0].finish_reason == "stop"


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_redirect_is_not_followed_but_named(autojump_clock: MockClock, stream: bool, status: int) -> None:
    answer = Answer(status=status, location="http://elsewhere/secret")
    async with provider(answer, retryAttempts=2) as (words, upstream):
        with pytest.raises(BadResponseError, match=rf"redirect \(status {status}\); check baseUrl") as error:
            if stream:
                await words.execute_streaming(streamed(), Client())
            else:
                await words.execute(LLMRequest(model="m"))
        assert len(upstream.asked_at) == 1
    assert "elsewhere" not in error.value.message


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_answer_above_the_limit_ends_with_an_error(
    autojump_clock: MockClock, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_RESPONSE_BYTES", 1000)
    answer = Answer([(0, b" " * 300)] * 100, content_type="application/json")
    async with provider(answer) as (words, _):
        with pytest.raises(BadResponseError, match="larger than 1000 bytes"):
            if stream:
                await words.execute_streaming(streamed(), Client())
            else:
                await words.execute(LLMRequest(model="m"))


async def test_an_error_body_without_end_is_cut_and_the_status_stands(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ERROR_BYTES", 1000)
    async with provider(Answer([(0, b"x" * 300)] * 100, status=403)) as (words, _):
        with pytest.raises(ProviderError) as error:
            await words.execute(LLMRequest(model="m"))
    assert (error.value.status, error.value.upstream_status) == (403, 403)


@pytest.mark.parametrize("content_type", ["text/html", "text/plain; charset=utf-8", "application/xml"])
async def test_what_is_neither_a_stream_nor_json_is_no_answer(autojump_clock: MockClock, content_type: str) -> None:
    async with provider(Answer([(0, b"<p>")], content_type=content_type)) as (words, _):
        with pytest.raises(BadResponseError, match="instead of a stream"):
            await words.execute_streaming(streamed(), Client())


async def test_retries_wait_as_long_as_the_provider_says_and_are_noted(autojump_clock: MockClock) -> None:
    answers = [
        Answer(status=429, retry_after="7"),
        Answer(status=503, retry_after_ms="250"),
        ProviderConnectionError("refused"),
        Answer([(0, TEXT), (0, END)]),
    ]
    async with provider(*answers, retryAttempts=3, retryDelay=1000) as (words, upstream):
        client, request = Client(), streamed()
        await words.execute_streaming(request, client)
        gaps = [later - earlier for earlier, later in zip(upstream.asked_at, upstream.asked_at[1:], strict=False)]
    assert gaps[:2] == pytest.approx([7, 0.25])
    assert 0 <= gaps[2] <= 4
    assert request.notes.retries == 3
    assert client.text == "a"


async def test_an_answer_that_makes_no_sense_is_not_asked_for_again(autojump_clock: MockClock) -> None:
    async with provider(Answer([(0, b"")]), Answer([(0, END)]), retryAttempts=2) as (words, upstream):
        with pytest.raises(BadResponseError):
            await words.execute_streaming(streamed(), Client())
        assert len(upstream.asked_at) == 1


async def test_no_retry_is_waited_for_beyond_the_deadline(autojump_clock: MockClock) -> None:
    async with provider(Answer(status=429, retry_after="20"), retryAttempts=3, timeout=10_000) as (words, upstream):
        started = trio.current_time()
        with pytest.raises(ProviderError) as error:
            await words.execute_streaming(streamed(), Client())
        assert trio.current_time() - started < 0.1
        assert len(upstream.asked_at) == 1
    assert (error.value.status, error.value.retry_after) == (429, 20)


@pytest.mark.parametrize("moment", [0.5, 1.5, 2.5], ids=["before the head", "before the first event", "in mid-stream"])
async def test_a_cancelled_call_leaves_no_response_open(autojump_clock: MockClock, moment: float) -> None:
    answer = Answer([(1, TEXT), (FOREVER, b"")], head_after=1)
    async with provider(answer) as (words, _):
        with trio.move_on_after(moment) as scope:
            await words.execute_streaming(streamed(), Client())
        assert scope.cancelled_caught


async def test_x_should_retry_false_is_obeyed(autojump_clock: MockClock) -> None:
    async with provider(Answer(status=503, x_should_retry="false"), retryAttempts=3) as (words, upstream):
        with pytest.raises(ProviderError):
            await words.execute(LLMRequest(model="m"))
        assert len(upstream.asked_at) == 1


class Signed(Words):
    """Signs each try anew; `wait` is how long that takes."""

    stream_content_types = (b"application/x-words",)
    wait = 0.0
    tries = 0

    async def authorize(self, outgoing: OutgoingRequest) -> OutgoingRequest:
        await trio.sleep(self.wait)
        self.tries += 1
        return OutgoingRequest(target=outgoing.target + "?signed", body=outgoing.body, headers={"n": str(self.tries)})


async def test_each_try_is_authorized_anew(autojump_clock: MockClock) -> None:
    good = Answer([(0, TEXT + END + DONE)], content_type="application/x-words")
    async with provider(Answer(status=503), good, cls=Signed, retryAttempts=1) as (words, upstream):
        client = Client()
        await words.execute_streaming(streamed(), client)
    assert client.text == "a"
    assert [(target, headers[b"n"]) for target, headers in upstream.asked] == [
        (b"/words?signed", b"1"),
        (b"/words?signed", b"2"),
    ]


async def test_authorizing_has_the_deadline_of_the_try(autojump_clock: MockClock) -> None:
    class Slow(Signed):
        wait = FOREVER

    async with provider(cls=Slow, firstTokenTimeout=3000) as (words, _):
        assert await timed_out(words, "first_token") == pytest.approx(3)


async def test_only_the_provider_s_own_content_types_are_streams(autojump_clock: MockClock) -> None:
    async with provider(Answer([(0, TEXT)]), cls=Signed) as (words, _):
        with pytest.raises(BadResponseError, match="content type 'text/event-stream' instead of a stream"):
            await words.execute_streaming(streamed(), Client())


async def test_tries_are_paid_for_where_there_is_a_budget(autojump_clock: MockClock) -> None:
    budget = RetryBudget(0.0, per_second=1.0, seconds=1.0)
    async with provider(*[Answer(status=503) for _ in range(3)], retryAttempts=5) as (words, upstream):
        request = streamed()
        request.metadata.retry_budget = budget
        await trio.sleep(1)
        budget.withdraw()
        await trio.sleep(1)
        words._retry = RetryPolicy(5, 0.0)  # without a wait, which would fill the budget again
        with pytest.raises(ProviderError):
            await words.execute_streaming(request, Client())
        assert len(upstream.asked) == 2
    assert budget.refused == 1
