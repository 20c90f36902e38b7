"""What each field of a result does in each phase, whole and streamed: the table of docs/plugins.md, without HTTP.

A streamed run is the chain of chunks alone; what the client makes of it is in tests/gateway/test_plugins.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import trio

from providers.errors import ErrorKind, GatewayError, ProviderError
from providers.model import (
    EventKind,
    LLMRequest,
    LLMResponse,
    Message,
    RawBody,
    TextPart,
    finish_chunk,
    text_chunk,
    text_response,
)
from proxy.plugins import ContextUpdate, PluginContext, PluginResult, changed
from proxy.plugins.chunks import ChunkChain, Turn
from proxy.plugins.conditions import Conditions
from proxy.plugins.loaded import LoadedPlugin
from proxy.plugins.pipeline import Pipeline, PipelineRun, PluginFailedError
from proxy.routing import Candidate, RoutePlan
from tests.support.plugins import loaded

CHUNKS = [text_chunk("one "), text_chunk("two "), text_chunk("three"), finish_chunk("stop")]


def request(**more: Any) -> LLMRequest:
    return LLMRequest(model="m", messages=[Message(role="user", content=[TextPart(text="hi")])], **more)


class Outcome:
    """What a whole run came to."""

    def __init__(self) -> None:
        self.asked = 0
        self.order: list[str] = []
        self.text: str | None = None
        self.error: GatewayError | None = None
        self.context: PluginContext | None = None
        self.answered_by: str | None = None


async def run_whole(*plugins: LoadedPlugin, fails: int = 0, max_retries: int = 3) -> Outcome:
    """Way in, the model, way out. The model fails the first `fails` times."""
    outcome = Outcome()
    context = outcome.context = PluginContext(request=request(), project="p")
    run = PipelineRun(Pipeline(plugins, max_retries=max_retries), context)

    async def ask() -> LLMResponse:
        outcome.asked += 1
        if outcome.asked <= fails:
            raise ProviderError("down", kind=ErrorKind.OVERLOADED, status=529)
        return text_response(f"answer {outcome.asked} to {context.request.messages[0].text}")

    try:
        answer = await run.before_model()
        response = await run.whole(ask, answer)
        assert response.choices[0].message is not None
        outcome.text = response.choices[0].message.text
    except GatewayError as error:
        outcome.error = error
    outcome.answered_by = run.answered_by
    run.close()
    return outcome


class Streamed:
    def __init__(self) -> None:
        self.out: list[LLMResponse] = []
        self.turn = Turn.GOES_ON
        self.error: GatewayError | None = None

    @property
    def text(self) -> str:
        return "".join(
            part.text
            for chunk in self.out
            for choice in chunk.choices
            for part in (choice.delta.content if choice.delta else [])
            if isinstance(part, TextPart)
        )


async def run_stream(
    *plugins: LoadedPlugin, chunks: list[LLMResponse] = CHUNKS, begun: bool = False, **limits: Any
) -> Streamed:
    """The chunks through the chain, and its end."""
    streamed = Streamed()
    run = PipelineRun(Pipeline(plugins, **limits), PluginContext(request=request(stream=True)))
    await run.before_model()
    chain = ChunkChain(run)
    chain.begun = begun
    try:
        for chunk in chunks:
            streamed.out += await chain.push(chunk)
            if chain.turn is not Turn.GOES_ON:
                break
        if chain.turn in (Turn.GOES_ON, Turn.ENDS):
            streamed.out += await chain.finish()
    except GatewayError as error:
        streamed.error = error
    streamed.turn = chain.turn
    return streamed


def always(result: PluginResult | None) -> Callable[[PluginContext], PluginResult | None]:
    return lambda context: result


def once(result: PluginResult | None) -> Callable[[PluginContext], PluginResult | None]:
    """The result the first time, then nothing."""

    def phase(context: PluginContext) -> PluginResult | None:
        if context.plugin_data.get("done"):
            return None
        context.plugin_data["done"] = True
        return result

    return phase


REFUSES = PluginResult(success=False, status=418, error="no")
OWN = PluginResult(terminate=True, context=ContextUpdate(response=text_response("own")))
AGAIN = PluginResult(reevaluate_request=True)
ASKS_FOR_MORE = PluginResult(
    reevaluate_request=True,
    context=ContextUpdate(request=request(), target_model="n"),
)


# -- phase by field, whole --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "result", "fails", "expected"),
    [
        # success
        ("before_model", REFUSES, 0, (0, None, 418)),
        ("after_model", REFUSES, 0, (1, None, 418)),
        ("on_model_error", REFUSES, 9, (1, None, 418)),
        # context
        ("before_model", PluginResult(context=ContextUpdate(request=request(n=2))), 0, (1, "answer 1 to hi", None)),
        ("after_model", PluginResult(context=ContextUpdate(response=text_response("x"))), 0, (1, "x", None)),
        ("on_model_error", PluginResult(context=ContextUpdate(target_model="x")), 9, (1, None, 529)),
        # reevaluate_request
        ("before_model", AGAIN, 0, (1, "answer 1 to hi", None)),
        ("after_model", AGAIN, 0, (2, "answer 2 to hi", None)),
        ("on_model_error", AGAIN, 1, (2, "answer 2 to hi", None)),
        # terminate
        ("before_model", OWN, 0, (0, "own", None)),
        ("after_model", OWN, 0, (1, "own", None)),
        ("on_model_error", OWN, 9, (1, "own", None)),
        # emit_chunk has no meaning there
        ("before_model", PluginResult(emit_chunk=False), 0, (1, "answer 1 to hi", None)),
        ("after_model", PluginResult(emit_chunk=False), 0, (1, "answer 1 to hi", None)),
        # nothing, and an empty result
        ("before_model", None, 0, (1, "answer 1 to hi", None)),
        ("after_model", PluginResult(), 0, (1, "answer 1 to hi", None)),
        ("on_model_error", None, 9, (1, None, 529)),
    ],
)
async def test_a_field_in_a_phase(
    phase: str, result: PluginResult | None, fails: int, expected: tuple[int, str | None, int | None]
) -> None:
    outcome = await run_whole(loaded("p", **{phase: once(result)}), fails=fails)
    assert (outcome.asked, outcome.text, outcome.error.status if outcome.error else None) == expected


@pytest.mark.parametrize("phase", ["before_model", "after_model", "on_model_error"])
@pytest.mark.parametrize("skips", [False, True])
async def test_skip_remaining_leaves_out_the_others_of_the_phase_only(phase: str, skips: bool) -> None:
    seen: list[str] = []
    first, second = (1, 2) if phase == "before_model" else (2, 1)
    skipper = loaded("first", priority=first, **{phase: always(PluginResult(skip_remaining=skips))})
    other = loaded(
        "second",
        priority=second,
        **{phase: lambda _: seen.append(phase)},
        **({"after_model": lambda _: seen.append("after_model")} if phase == "before_model" else {}),
    )
    await run_whole(skipper, other, fails=9 if phase == "on_model_error" else 0)
    later = ["after_model"] if phase == "before_model" else []
    assert seen == ([] if skips else [phase]) + later


async def test_the_model_is_asked_again_max_retries_times_at_most() -> None:
    outcome = await run_whole(loaded("p", after_model=always(AGAIN)), max_retries=2)
    assert (outcome.asked, outcome.text) == (3, "answer 3 to hi")
    outcome = await run_whole(loaded("p", on_model_error=always(AGAIN)), fails=99, max_retries=2)
    assert outcome.asked == 3
    assert outcome.error is not None
    assert outcome.error.status == 529
    outcome = await run_whole(loaded("p", after_model=always(AGAIN)), max_retries=0)
    assert outcome.asked == 1


# -- phase by field, streamed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "text", "turn", "status"),
    [
        (None, "one two three", Turn.GOES_ON, None),
        (PluginResult(), "one two three", Turn.GOES_ON, None),
        (REFUSES, "", Turn.GOES_ON, 418),
        (PluginResult(context=ContextUpdate(chunk=text_chunk("ONE "))), "ONE two three", Turn.GOES_ON, None),
        (AGAIN, "", Turn.AGAIN, None),
        (PluginResult(continue_request=True), "", Turn.CONTINUES, None),
        (PluginResult(terminate=True), "one ", Turn.ENDS, None),
        (
            PluginResult(terminate=True, context=ContextUpdate(chunk=text_chunk("end"))), "end", Turn.ENDS, None,
        ),
        (PluginResult(terminate=True, emit_chunk=False), "one ", Turn.ENDS, None),
        (
            PluginResult(terminate=True, context=ContextUpdate(chunk=text_chunk("o")), keep=text_chunk("ne ")),
            "one ", Turn.ENDS, None,
        ),
        (PluginResult(emit_chunk=False), "one two three", Turn.GOES_ON, None),
        (
            PluginResult(context=ContextUpdate(chunk=text_chunk("o")), keep=text_chunk("ne ")),
            "one two three", Turn.GOES_ON, None,
        ),
    ],
)  # fmt: skip
async def test_a_field_in_after_chunk(result: PluginResult | None, text: str, turn: Turn, status: int | None) -> None:
    streamed = await run_stream(loaded("p", after_chunk=once(result)))
    assert (streamed.text, streamed.turn, streamed.error.status if streamed.error else None) == (text, turn, status)


async def test_nothing_is_run_again_after_the_first_byte() -> None:
    streamed = await run_stream(loaded("p", after_chunk=always(AGAIN)), begun=True)
    assert (streamed.text, streamed.turn) == ("one two three", Turn.GOES_ON)


async def test_a_stream_may_go_on_after_the_first_byte() -> None:
    streamed = await run_stream(loaded("p", after_chunk=always(PluginResult(continue_request=True))), begun=True)
    assert streamed.turn is Turn.CONTINUES


@pytest.mark.parametrize("skips", [False, True])
async def test_skip_remaining_in_after_chunk(skips: bool) -> None:
    seen: list[str] = []
    streamed = await run_stream(
        loaded("inner", priority=2, after_chunk=once(PluginResult(skip_remaining=skips))),
        loaded("outer", priority=1, after_chunk=lambda context: seen.append("outer")),
    )
    assert streamed.text == "one two three"
    assert len(seen) == (4 if skips else 5)  # four chunks and the last call


async def test_a_chunk_that_skips_does_not_overtake_what_is_held() -> None:
    streamed = await run_stream(
        loaded("inner", priority=2, after_chunk=lambda c: PluginResult(skip_remaining="two" in repr(c.chunk))),
        loaded("outer", priority=1, after_chunk=always(PluginResult(emit_chunk=False))),
    )
    assert streamed.text == "one two three"


# -- holding back -----------------------------------------------------------------------------------------------------


async def test_what_is_held_is_merged_for_the_plugin_and_leaves_piece_by_piece() -> None:
    seen: list[str] = []

    def hold(context: PluginContext) -> PluginResult | None:
        merged = context.buffered_chunk
        assert merged is not None
        delta = merged.choices[0].delta if merged.choices else None
        seen.append("".join(part.text for part in delta.content if isinstance(part, TextPart)) if delta else "")
        return None if context.final_chunk else PluginResult(emit_chunk=False)

    streamed = await run_stream(loaded("p", after_chunk=hold))
    assert seen == ["one ", "one two ", "one two three", "one two three", "one two three"]
    assert streamed.out == CHUNKS


async def test_two_plugins_hold_back_for_themselves() -> None:
    def every(count: int) -> Callable[[PluginContext], PluginResult]:
        def phase(context: PluginContext) -> PluginResult:
            context.plugin_data["n"] = context.plugin_data.get("n", 0) + 1
            return PluginResult(emit_chunk=context.plugin_data["n"] % count == 0)

        return phase

    streamed = await run_stream(
        loaded("a", priority=1, after_chunk=every(2)), loaded("b", priority=2, after_chunk=every(3))
    )
    assert streamed.text == "one two three"
    assert streamed.out[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize(("on_error", "status"), [("open", None), ("closed", 500)])
async def test_holding_back_is_bounded(on_error: str, status: int | None) -> None:
    chunks = [text_chunk("x" * 1000) for _ in range(10)]
    hold = loaded("p", on_error=on_error, after_chunk=always(PluginResult(emit_chunk=False)))
    streamed = await run_stream(hold, chunks=chunks, max_held_bytes=3000)
    assert (streamed.error.status if streamed.error else None) == status
    assert len(streamed.text) == (10_000 if status is None else 0)


async def test_what_says_nothing_is_not_shown_and_keeps_its_place() -> None:
    seen: list[int] = []

    def hold(context: PluginContext) -> PluginResult:
        seen.append(1)
        return PluginResult(emit_chunk=False)

    quiet = LLMResponse(id="quiet")
    alive = LLMResponse(kind=EventKind.KEEP_ALIVE)
    streamed = await run_stream(
        loaded("p", after_chunk=hold), chunks=[quiet, text_chunk("a"), quiet, alive, text_chunk("b")]
    )
    assert len(seen) == 3  # two chunks, and the last call
    assert streamed.out == [quiet, alive, text_chunk("a"), quiet, text_chunk("b")]


# -- priorities and conditions ----------------------------------------------------------------------------------------


async def test_lower_priorities_come_first_on_the_way_in_and_last_on_the_way_out() -> None:
    seen: list[str] = []

    def note(name: str) -> dict[str, Any]:
        return {phase: lambda _, p=phase: seen.append(f"{name} {p}") for phase in ("before_model", "after_model")}

    plugins = [loaded(name, priority=p, **note(name)) for name, p in [("c", 30), ("a", -5), ("b", 7), ("b2", 7)]]
    await run_whole(*plugins)
    names = ["a", "b", "b2", "c"]
    assert seen == [f"{n} before_model" for n in names] + [f"{n} after_model" for n in reversed(names)]


async def test_an_answer_on_the_way_in_passes_the_plugins_around_only() -> None:
    """A cache in the middle: what is inside it never sees its answer, what is outside does. All see the end."""
    seen: list[str] = []

    def note(name: str) -> dict[str, Any]:
        return {
            "after_model": lambda _: seen.append(f"{name} after"),
            "detached_after_response": lambda _: seen.append(f"{name} detached"),
        }

    outer, inner = loaded("outer", priority=1, **note("outer")), loaded("inner", priority=3, **note("inner"))
    cache = loaded("cache", priority=2, before_model=always(OWN), **note("cache"))
    context = PluginContext(request=request())
    run = PipelineRun(Pipeline([inner, cache, outer]), context)
    answer = await run.before_model()
    assert answer is not None
    await run.whole(_never, answer)
    assert run.close()
    await run.detached()
    assert seen == ["outer after", "outer detached", "cache detached", "inner detached"]
    assert run.answered_by == "cache"


async def _never() -> LLMResponse:
    raise AssertionError("no model is asked")


async def test_before_model_runs_once_for_each_plugin_however_often_conditions_are_looked_at() -> None:
    seen: list[str] = []

    def rename(context: PluginContext) -> PluginResult:
        seen.append("rename")
        return PluginResult(reevaluate_request=True, context=ContextUpdate(target_model="special"))

    await run_whole(
        loaded(
            "early", priority=1, conditions=Conditions(models=("special",)), before_model=lambda _: seen.append("early")
        ),
        loaded("rename", priority=2, before_model=rename),
        loaded("late", priority=3, before_model=lambda _: seen.append("late")),
    )
    assert seen == ["rename", "early", "late"]


# -- what a plugin does wrong -----------------------------------------------------------------------------------------


async def _hangs(context: PluginContext) -> None:
    await trio.sleep_forever()


def _raises(context: PluginContext) -> None:
    raise LookupError("canary")


def _exits(context: PluginContext) -> None:
    raise SystemExit("canary")


def _cancels_as_asyncio_does(context: PluginContext) -> None:
    raise asyncio.CancelledError("canary")


NONSENSE: list[Any] = [
    "yes",
    True,
    {"success": False},
    PluginResult(status=200),
    PluginResult(error=7),  # type: ignore[arg-type]
    PluginResult(context={"request": None}),  # type: ignore[arg-type]
    PluginResult(context=ContextUpdate(request="hi")),  # type: ignore[arg-type]
    PluginResult(context=ContextUpdate(target_model=None)),  # type: ignore[arg-type]
    PluginResult(context=ContextUpdate(response_headers={"x\r\ny": "1"})),
    PluginResult(context=ContextUpdate(response_headers={"content-length": "1"})),
    PluginResult(context=ContextUpdate(response_headers={"x-a": "1\r\nx-b: 2"})),
    PluginResult(context=ContextUpdate(routes=RoutePlan(candidates=()))),
    PluginResult(context=ContextUpdate(response=LLMResponse()), terminate=True),
    PluginResult(context=ContextUpdate(metrics={"a": "b"})),  # type: ignore[dict-item]
    PluginResult(chunks=["one"], terminate=True),  # type: ignore[list-item]
    PluginResult(chunks="one", terminate=True),  # type: ignore[arg-type]
    PluginResult(terminate=True),
    PluginResult(continue_request=True),
]


@pytest.mark.parametrize("on_error", ["open", "closed"])
@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_nonsense_has_the_stated_effect(nonsense: Any, on_error: str) -> None:
    outcome = await run_whole(loaded("p", on_error=on_error, before_model=always(nonsense)))
    assert isinstance(outcome.error, PluginFailedError) == (on_error == "closed")
    assert outcome.asked == (1 if on_error == "open" else 0)


@pytest.mark.parametrize("on_error", ["open", "closed"])
@pytest.mark.parametrize("phase", ["before_model", "after_model", "on_model_error"])
@pytest.mark.parametrize("fault", [_raises, _exits, _cancels_as_asyncio_does, _hangs])
async def test_a_fault_has_the_stated_effect(autojump_clock: Any, fault: Any, phase: str, on_error: str) -> None:
    fails = 9 if phase == "on_model_error" else 0
    outcome = await run_whole(loaded("p", on_error=on_error, **{phase: fault}), fails=fails)
    if on_error == "closed":
        assert isinstance(outcome.error, PluginFailedError)
        assert "'p'" in outcome.error.message
        assert "canary" not in outcome.error.message
    elif fails:
        assert outcome.error is not None
        assert outcome.error.status == 529
    else:
        assert outcome.text == "answer 1 to hi"


@pytest.mark.parametrize("on_error", ["open", "closed"])
@pytest.mark.parametrize("fault", [_raises, _hangs, always("x")], ids=["raises", "hangs", "nonsense"])  # type: ignore[arg-type]
async def test_a_fault_in_a_stream(autojump_clock: Any, fault: Any, on_error: str) -> None:
    calls = 0

    def second(context: PluginContext) -> Any:
        nonlocal calls
        calls += 1
        return fault(context) if calls == 2 else PluginResult(emit_chunk=False)

    streamed = await run_stream(loaded("p", on_error=on_error, after_chunk=second))
    assert isinstance(streamed.error, PluginFailedError) == (on_error == "closed")
    assert streamed.text == ("one two three" if on_error == "open" else "")
    assert calls == 2  # it is left out for the rest


async def test_a_plugin_that_fails_half_way_has_changed_nothing() -> None:
    outcome = await run_whole(
        loaded("p", before_model=always(PluginResult(status=1, context=ContextUpdate(target_model="other"))))
    )
    assert outcome.context is not None
    assert outcome.context.target_model is None


# -- merging ----------------------------------------------------------------------------------------------------------


async def test_changes_are_merged_in_order() -> None:
    first = ContextUpdate(
        metadata={"a": {"x": 1, "y": 1}, "b": 1, "l": [1]},
        metrics={"m": 1.0, "n": 1.0},
        response_headers={"x-a": "1", "x-b": "1"},
        user_id="u1",
        experiment_id="e",
        target_model="first",
    )
    second = ContextUpdate(
        metadata={"a": {"y": 2, "z": 2}, "l": [2]}, metrics={"n": 2.0}, response_headers={"x-b": "2"}, key_id="k"
    )
    outcome = await run_whole(
        loaded("a", priority=1, before_model=always(PluginResult(context=first))),
        loaded("b", priority=2, before_model=always(PluginResult(context=second))),
    )
    context = outcome.context
    assert context is not None
    assert context.metadata == {"a": {"x": 1, "y": 2, "z": 2}, "b": 1, "l": [2]}
    assert context.metrics == {"m": 1.0, "n": 2.0}
    assert context.response_headers == {"x-a": "1", "x-b": "2"}
    assert (context.user_id, context.key_id, context.experiment_id, context.target_model) == ("u1", "k", "e", "first")
    assert first.metadata["a"] == {"x": 1, "y": 1}


async def test_a_later_target_replaces_an_earlier_plan() -> None:
    plan = RoutePlan(candidates=(Candidate("x"), Candidate("y")))
    router = loaded("router", priority=1, before_model=always(PluginResult(context=ContextUpdate(routes=plan))))
    target = loaded("target", priority=2, before_model=always(PluginResult(context=ContextUpdate(target_model="z"))))
    outcome = await run_whole(router, target)
    assert outcome.context is not None
    assert (outcome.context.routes, outcome.context.target_model) == (None, "z")
    outcome = await run_whole(router)
    assert outcome.context is not None
    assert outcome.context.routes == plan


async def test_a_changed_request_is_never_sent_as_it_came() -> None:
    raw = RawBody("openai-chat", b"{}")
    stale = request(raw=raw)
    outcome = await run_whole(loaded("p", before_model=always(PluginResult(context=ContextUpdate(request=stale)))))
    assert outcome.context is not None
    assert outcome.context.request.raw is None
    assert changed(stale, temperature=1.0).raw is None


async def test_what_was_deferred_runs_whatever_came_of_the_request() -> None:
    seen: list[str] = []

    def defer(context: PluginContext) -> PluginResult:
        context.defer(lambda: seen.append("a"))
        context.defer(lambda: 1 / 0)
        context.defer(lambda: seen.append("b"))
        return REFUSES

    await run_whole(loaded("p", before_model=defer))
    assert seen == ["a", "b"]


async def test_every_plugin_has_data_of_its_own() -> None:
    seen: list[Any] = []

    def keep(name: str) -> dict[str, Any]:
        def before(context: PluginContext) -> None:
            context.plugin_data["name"] = name

        return {"before_model": before, "after_model": lambda context: seen.append(context.plugin_data)}

    await run_whole(loaded("a", priority=1, **keep("a")), loaded("b", priority=2, **keep("b")))
    assert seen == [{"name": "b"}, {"name": "a"}]
