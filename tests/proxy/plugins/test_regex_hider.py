"""`regex-hider` on requests, answers and streams, through the pipeline's own chain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import GatewayError
from providers.extension import check_config
from providers.model import (
    Accumulator,
    AssistantMessage,
    Choice,
    Delta,
    ImagePart,
    LLMRequest,
    LLMResponse,
    Message,
    OpaquePart,
    Part,
    RawBody,
    ReasoningPart,
    RequestMetadata,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
    finish_chunk,
    text_chunk,
    text_response,
)
from proxy.config import ConfigError, load_config
from proxy.plugins import PluginContext
from proxy.plugins.builtin.regex_hider.plugin import RegexHider
from proxy.plugins.builtin.regex_hider.settings import SCHEMA
from proxy.plugins.chunks import ChunkChain
from proxy.plugins.loaded import LoadedPlugin
from proxy.plugins.pipeline import Pipeline, PipelineRun
from tests.proxy.plugins.runs import configured, let_in

SECRET = "sk-abc123DEF"
CALL = ToolCallPart(index=1, id="c", name="f", arguments="{}")
KEYS = {"name": "key", "pattern": "sk-[A-Za-z0-9]{4,12}"}
MAIL = {"name": "mail", "pattern": r"[a-z]+@[a-z]+\.com"}


async def begun(request: LLMRequest | None = None, **config: Any) -> PipelineRun:
    """A run whose way in is behind it."""
    filled, problems = check_config(SCHEMA, config)
    assert not problems
    plugin = RegexHider()
    assert plugin.validate_config(filled) is True
    await plugin.configure(filled)
    run = PipelineRun(
        Pipeline([LoadedPlugin("hider", plugin)]), PluginContext(request=request or LLMRequest(model="m"))
    )
    assert await run.before_model() is None
    return run


def asking(*parts: Part) -> LLMRequest:
    return LLMRequest(model="m", messages=[Message(role="user", content=list(parts))], raw=RawBody("x", b"{}"))


async def sent(run: PipelineRun, *chunks: LLMResponse) -> list[LLMResponse]:
    chain = ChunkChain(run)
    out: list[LLMResponse] = []
    for chunk in chunks:
        out += await chain.push(chunk)
    return out + await chain.finish()


def folded(chunks: list[LLMResponse]) -> LLMResponse:
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.response()


def message(response: LLMResponse) -> AssistantMessage:
    found = response.choices[0].message
    assert found is not None
    return found


def part_chunk(*parts: Part) -> LLMResponse:
    return LLMResponse(choices=[Choice(delta=Delta(content=list(parts)))])


# -- requests ----------------------------------------------------------------------------------------------------------


async def test_every_text_of_a_request_is_seen_as_the_model_reads_it() -> None:
    arguments = '{"sk\\u002dabcd1":"a \\u0073k-abcd2","n":1.50}'
    raw = b'{"type":"x","text":"sk-abcd3"}'
    run = await begun(
        asking(
            TextPart(text=f"my key {SECRET}!"),
            ToolCallPart(id="1", name="f", arguments=arguments),
            ToolResultPart(tool_call_id="1", content=[TextPart(text=SECRET)]),
            OpaquePart(kind="x", raw=msgspec.Raw(raw)),
        ),
        rules=[KEYS],
    )
    request = run.context.request
    assert request.raw is None, "the client's own bytes would be sent"
    text, call, result, opaque = request.messages[0].content
    assert isinstance(text, TextPart)
    assert text.text == "my key [KEY]!"
    assert isinstance(call, ToolCallPart)
    assert json.loads(call.arguments) == {"[KEY]": "a [KEY]", "n": 1.5}
    assert isinstance(result, ToolResultPart)
    assert result.content == [TextPart(text="[KEY]")]
    assert isinstance(opaque, OpaquePart)
    assert json.loads(bytes(opaque.raw)) == {"type": "x", "text": "[KEY]"}


async def test_fields_that_only_the_clients_api_knows_are_seen_too() -> None:
    asked = asking(TextPart(text="a", extra={"x": msgspec.Raw(b'["\\u0073k-abcd1"]')}))
    asked.messages[0].extra = {"y": msgspec.Raw(b'{"z":"sk-abcd2"}'), "n": msgspec.Raw(b"1.50")}
    run = await begun(asked, rules=[KEYS])
    request = run.context.request
    assert request.raw is None
    [message] = request.messages
    assert message.extra == {"y": msgspec.Raw(b'{"z":"[KEY]"}'), "n": msgspec.Raw(b"1.50")}
    assert message.content[0].extra == {"x": msgspec.Raw(b'["[KEY]"]')}


async def test_a_request_without_a_match_keeps_its_bytes() -> None:
    request = asking(TextPart(text="hello"), ToolCallPart(arguments='{"a": 1.0}'))
    run = await begun(request, rules=[KEYS])
    assert run.context.request is request


async def test_where_a_rule_applies() -> None:
    run = await begun(
        asking(TextPart(text=f"{SECRET} a@b.com")), rules=[{**KEYS, "in": "response"}, {**MAIL, "in": "request"}]
    )
    assert run.context.request.messages[0].text == f"{SECRET} [MAIL]"
    out = folded(await sent(run, text_chunk(f"{SECRET} a@b.com"), finish_chunk("stop")))
    assert message(out).text == "[KEY] a@b.com"


# -- answers -----------------------------------------------------------------------------------------------------------


async def test_a_whole_answer_and_its_log_probabilities() -> None:
    run = await begun(rules=[KEYS])
    response = text_response(f"It is {SECRET}.")
    response.raw = RawBody("x", SECRET.encode())
    response.choices[0].logprobs = {"content": [{"token": SECRET}]}
    run.context.response = response
    assert await run.after_model() is False
    assert run.context.response is not None
    assert SECRET not in repr(run.context.response)
    assert message(run.context.response).text == "It is [KEY]."


async def test_chunks_without_a_match_pass_as_they_are() -> None:
    run = await begun(rules=[KEYS])
    chunks = [text_chunk("Hello"), text_chunk(", world"), finish_chunk("stop")]
    for chunk in chunks:
        chunk.raw = RawBody("x", b"bytes")
    out = await sent(run, *chunks)
    assert all(new is old for new, old in zip(out, chunks, strict=True))


async def test_a_chunk_s_log_probabilities_would_tell_it_token_by_token() -> None:
    run = await begun(rules=[KEYS])
    chunk = text_chunk("sk-")
    chunk.choices[0].logprobs = {"content": [{"token": "sk-"}]}
    out = await sent(run, chunk, text_chunk("abc123"), finish_chunk("stop"))
    assert "sk-" not in repr(out)


PIECES = st.lists(
    st.tuples(st.sampled_from(["text", "reasoning", "arguments"]), st.sampled_from([*"sk-abc1 @.com", "sk-", "om"])),
    max_size=40,
)


@settings(max_examples=200)
@given(PIECES)
def test_any_stream_says_what_the_hidden_whole_says(pieces: list[tuple[str, str]]) -> None:
    """Parts that alternate, each cut anywhere."""

    async def check() -> None:
        chunks: list[LLMResponse] = []
        kinds: list[str] = []
        whole: list[str] = []
        for kind, text in pieces:
            if not kinds or kinds[-1] != kind:
                kinds.append(kind)
                whole.append("")
            whole[-1] += text
            index = len(kinds) - 1
            part: Part = {
                "text": TextPart(index=index, text=text),
                "reasoning": ReasoningPart(index=index, text=text),
                "arguments": ToolCallPart(index=index, id=f"c{index}", name="f", arguments=text),
            }[kind]
            chunks.append(part_chunk(part))
        run = await begun(rules=[KEYS, MAIL])
        out = await sent(run, *chunks, finish_chunk("stop"))
        said: dict[int, str] = {}
        for chunk in out:
            for choice in chunk.choices:
                for part in choice.delta.content if choice.delta else ():
                    said[part.index] = said.get(part.index, "") + (
                        part.arguments if isinstance(part, ToolCallPart) else getattr(part, "text", "")
                    )
        hiding = run.pipeline.plugins[0].plugin._on_way_out(run.context)  # type: ignore[attr-defined]
        expected = [
            hiding.json(text) if kind == "arguments" else hiding.text(text)
            for kind, text in zip(kinds, whole, strict=True)
        ]
        assert [said.get(index, "") for index in range(len(whole))] == expected
        assert out[-1].choices[0].finish_reason == "stop"

    trio.run(check)


async def test_a_text_that_waits_leaves_before_what_comes_after_it() -> None:
    run = await begun(rules=[KEYS])
    out = await sent(
        run,
        part_chunk(TextPart(index=0, text="see sk")),
        part_chunk(CALL),
        finish_chunk("tool_calls"),
    )
    parts = [
        part for chunk in out for choice in chunk.choices for part in (choice.delta.content if choice.delta else [])
    ]
    assert [(type(part).__name__, part.index) for part in parts] == [
        ("TextPart", 0),
        ("TextPart", 0),
        ("ToolCallPart", 1),
    ]
    assert message(folded(out)).text == "see sk"


async def test_calls_that_stream_side_by_side_are_each_followed() -> None:
    run = await begun(rules=[KEYS])
    one = [ToolCallPart(index=0, id="a", name="f", arguments='{"k":"sk-'), ToolCallPart(index=0, arguments='abc123"}')]
    two = [ToolCallPart(index=1, id="b", name="g", arguments='{"q":"s'), ToolCallPart(index=1, arguments='k-zzzz9"}')]
    chunks = [
        part_chunk(one[0]),
        part_chunk(two[0]),
        part_chunk(one[1]),
        part_chunk(two[1]),
        finish_chunk("tool_calls"),
    ]
    calls = message(folded(await sent(run, *chunks))).tool_calls
    assert [(call.id, call.name, json.loads(call.arguments)) for call in calls] == [
        ("a", "f", {"k": "[KEY]"}),
        ("b", "g", {"q": "[KEY]"}),
    ]


async def test_a_text_that_goes_on_after_another_part_shows_nothing_more_of_what_may_be_hidden() -> None:
    run = await begun(rules=[KEYS])
    chain = ChunkChain(run)
    out = [*await chain.push(part_chunk(TextPart(index=0, text="a sk-ab"))), *await chain.push(part_chunk(CALL))]
    with pytest.raises(GatewayError, match="cannot be told in time"):
        await chain.push(part_chunk(TextPart(index=0, text="cdef")))
    assert message(folded(out)).text == "a sk-ab"
    decided = await begun(rules=[KEYS])
    chunks = [part_chunk(TextPart(index=0, text="a.")), part_chunk(CALL), part_chunk(TextPart(index=0, text="b"))]
    assert message(folded(await sent(decided, *chunks, finish_chunk("stop")))).text == "a.b"


async def test_a_stream_that_ends_without_a_finish_reason_is_told_whole() -> None:
    run = await begun(rules=[KEYS])
    assert message(folded(await sent(run, text_chunk("wait: sk")))).text == "wait: sk"


async def test_what_stays_undecided_for_too_long_ends_the_stream() -> None:
    run = await begun(rules=[{"name": "x", "pattern": "<[^>]*>"}], maxMatch=16)
    chain = ChunkChain(run)
    out = await chain.push(text_chunk("a <"))
    with pytest.raises(GatewayError, match="more than 16 characters may have to be"):
        for _ in range(20):
            out += await chain.push(text_chunk("b"))
    assert "".join(message(folded([chunk])).text for chunk in out) == "a "


# -- restoring ---------------------------------------------------------------------------------------------------------


async def test_what_the_model_repeats_is_put_back_for_the_client_only() -> None:
    run = await begun(
        asking(TextPart(text='mail a@b.com and c@d.com, then a@b.com; key "sk-abcd1"')),
        rules=[MAIL, KEYS],
        restore=True,
    )
    assert run.context.request.messages[0].text == 'mail [MAIL_1] and [MAIL_2], then [MAIL_1]; key "[KEY_1]"'
    text = "Sent to [MAIL_2] and [MAIL_1], not x@y.com. [MAIL_9]"
    out = folded(await sent(run, *(text_chunk(character) for character in text), finish_chunk("stop")))
    assert message(out).text == "Sent to c@d.com and a@b.com, not [MAIL_1]. [MAIL_9]".replace("[MAIL_1]", "[MAIL_3]")


async def test_a_value_put_back_into_arguments_is_written_as_json_writes_it() -> None:
    run = await begun(
        asking(TextPart(text='path "C:\\x"')), rules=[{"name": "path", "pattern": r'"[A-Z]:\\\w"'}], restore=True
    )
    assert run.context.request.messages[0].text == "path [PATH_1]"
    arguments = '{"p":"[PATH_1]"}'
    chunks = [part_chunk(ToolCallPart(index=0, id="c", name="f", arguments=piece)) for piece in arguments]
    (call,) = message(folded(await sent(run, *chunks, finish_chunk("tool_calls")))).tool_calls
    assert json.loads(call.arguments) == {"p": '"C:\\x"'}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{rules: []}", "config.rules"),
        ("{rules: [{name: a, pattern: '('}]}", "rules[0].pattern: no regular expression of RE2's"),
        ("{rules: [{name: a, pattern: 'a*'}]}", "rules[0].pattern: matches the empty text"),
        ("{rules: [{name: a, pattern: 'a', replacement: x}], restore: true}", "rules[0].replacement: with 'restore'"),
        ("{rules: [{name: a b, pattern: 'a'}]}", "config.rules[0].name: expected letters, digits"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, config: str, words: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "models: [{name: a, type: replay, config: {api: openai-chat}}]\n"
        f"plugins:\n  - {{name: regex-hider, config: {config}}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert "gateway.yaml:3:" in str(caught.value)
    assert words in str(caught.value)


# -- what else goes upstream -------------------------------------------------------------------------------------------


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


async def test_everything_that_people_say_beside_the_messages_is_searched() -> None:
    schema = {"type": "object", "properties": {"to": {"type": "string", "default": "ann@b.com", "examples": [4111]}}}
    request = LLMRequest(
        model="sk-model1",
        messages=[Message(role="user", name="ann@b.com", content=[ImagePart(url="https://x/?key=sk-abcd1")])],
        stop=["sk-abcd1", "END"],
        tools=[
            Tool(name="sk-tool1", description="mails ann@b.com", parameters=schema),
            Tool(name="own", kind="opaque", api="x", raw={"type": "own", "name": "sk-tool1", "at": "ann@b.com"}),
        ],
        response_format=ResponseFormat(kind="json_schema", name="n", description="for ann@b.com", schema=schema),
        extra={"prediction": raw({"type": "content", "content": "sk-abcd1"})},
        hints={"metadata": raw({"who": "ann@b.com", "card": 4111})},
        kept={"include": raw(["x"])},
        metadata=RequestMetadata(user_id="ann@b.com"),
    )
    card = {"name": "card", "pattern": r"\b4111\b"}
    run = await begun(request, rules=[KEYS, MAIL, card])
    sent = run.context.request
    assert (sent.model, [tool.name for tool in sent.tools]) == ("sk-model1", ["sk-tool1", "own"]), "names stay"
    assert sent.tools[1].raw == {"type": "own", "name": "sk-tool1", "at": "[MAIL]"}
    text = msgspec.json.encode(
        msgspec.structs.replace(sent, model="", tools=[msgspec.structs.replace(sent.tools[0], name="")])
    ).decode()
    assert not any(secret in text for secret in ("ann@b.com", "sk-", "4111"))
    assert sent.kept is request.kept
    assert run.context.user_id == "ann@b.com", "the gateway still knows who asks"
    assert sent.response_format is not None
    assert sent.response_format.schema == {
        "type": "object",
        "properties": {"to": {"type": "string", "default": "[MAIL]", "examples": ["[CARD]"]}},
    }


async def test_what_no_field_holds_does_not_go_upstream_in_the_client_s_own_bytes() -> None:
    request = LLMRequest(model="m", raw=RawBody("x", b'{"model":"m","odd":{"deep":"sk\\u002dabcd1"}}'))
    run = await begun(request, rules=[KEYS])
    assert run.context.request.raw is None
    run = await begun(request, rules=[{**KEYS, "in": "response"}])
    assert run.context.request is request
    response = text_response("fine")
    response.raw = RawBody("x", b'{"odd":["sk-abcd1"]}')
    run.context.response = response
    await run.after_model()
    assert run.context.response.raw is None
    response.raw = RawBody("x", b'{"odd":["none"]}')
    run.context.response = response
    await run.after_model()
    assert run.context.response is response


async def test_tokens_for_an_embedding_cannot_be_searched() -> None:
    request = asking(OpaquePart(kind="tokens", raw=msgspec.Raw(b"[1,2]")))
    plugin = await configured(RegexHider, rules=[KEYS])
    with pytest.raises(GatewayError, match="tokens cannot be searched") as caught:
        await let_in(plugin, request=request, operation="embed")
    assert caught.value.status == 400
    await let_in(await configured(RegexHider, rules=[{**KEYS, "in": "response"}]), request=request, operation="embed")


# -- turns, phases, records --------------------------------------------------------------------------------------------


async def test_what_a_turn_held_back_is_no_part_of_the_next_one() -> None:
    run = await begun(rules=[KEYS])
    chain = ChunkChain(run)
    assert await chain.push(text_chunk("s")) == []
    run.again()
    chain.next_turn(void=True)
    assert message(folded(await sent(run, text_chunk("Hello"), finish_chunk("stop")))).text == "Hello"


@pytest.mark.parametrize(
    ("config", "looks_at_answers"),
    [
        ({"rules": [{**KEYS, "in": "request"}]}, False),
        ({"rules": [{**KEYS, "in": "request"}], "restore": True}, True),
        ({"rules": [{**KEYS, "in": "response"}]}, True),
        ({"rules": [{**KEYS, "in": "response"}], "restore": True}, True),
        ({"rules": [KEYS]}, True),
    ],
)
async def test_one_that_hides_in_requests_only_takes_no_part_in_streams(
    config: dict[str, Any], looks_at_answers: bool
) -> None:
    plugin = await configured(RegexHider, **config)
    assert set(plugin.calls) == {"before_model", *(("after_model", "after_chunk") if looks_at_answers else ())}


async def test_many_values_are_put_back() -> None:
    addresses = " ".join(
        f"{name}@b.com" for name in (f"{a}{b}{c}" for a in "abcd" for b in "abcdefghij" for c in "xyz")
    )
    run = await begun(asking(TextPart(text=addresses)), rules=[MAIL], restore=True)
    stands = run.context.request.messages[0].text
    assert "[MAIL_120]" in stands
    assert message(folded(await sent(run, text_chunk(stands), finish_chunk("stop")))).text == addresses


async def test_what_is_recorded_of_an_answer_is_hidden_whatever_the_client_was_shown() -> None:
    run = await begun(asking(TextPart(text="mail a@b.com")), rules=[MAIL, {**KEYS, "in": "response"}], restore=True)
    run.context.response = text_response(f"Sent to [MAIL_1] with {SECRET}.")
    await run.after_model()
    assert message(run.context.response).text == "Sent to a@b.com with [KEY_1]."
    assert run.context.recorded_response is not None
    assert message(run.context.recorded_response).text == "Sent to [MAIL_1] with [KEY_1]."
    # One that no plugin on the way out has come to see, because another one withheld it.
    run.context.response = text_response(f"It is {SECRET}.")
    assert message(run.context.recorded_response).text == "It is [KEY_1]."


ARGUMENTS = st.lists(
    st.one_of(
        st.sampled_from([*'{}[]:,"\\ \n', '{"a":', '","', "\\n", "\\ud83d", "\\ude00", "\\u002d", "4111", "1.5", "sk"]),
        st.sampled_from(["-abcd1", "a@b.com", "4111111111111111", "true"]),
    ),
    max_size=30,
)


@settings(max_examples=200)
@given(ARGUMENTS)
def test_any_stream_of_arguments_is_hidden_as_the_whole_is(pieces: list[str]) -> None:
    async def check() -> None:
        rules = [KEYS, MAIL, {"name": "card", "pattern": r"\d{16}"}]
        run = await begun(rules=rules)
        chunks = [part_chunk(ToolCallPart(index=0, id="c", name="f", arguments=piece)) for piece in pieces]
        said = folded(await sent(run, *chunks, finish_chunk("tool_calls")))
        whole = text_response("", finish_reason="tool_calls")
        message(whole).content = [ToolCallPart(id="c", name="f", arguments="".join(pieces))]
        run.context.response = whole
        await run.after_model()
        streamed = "".join(call.arguments for call in message(said).tool_calls) if pieces else ""
        assert streamed == message(run.context.response).tool_calls[0].arguments
        for chunk in await sent(await begun(rules=rules), *chunks):
            for choice in chunk.choices:
                for part in choice.delta.content if choice.delta else ():
                    assert isinstance(part, ToolCallPart)
                    assert "4111111111111111" not in part.arguments

    trio.run(check)
