"""`prompt-manager`: prompts in their places, experiments and their shares."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from providers.extension import check_config
from providers.model import ImagePart, LLMRequest, Message, RawBody, TextPart
from proxy.plugins.builtin.prompt_manager import SCHEMA, PromptManager
from tests.proxy.plugins.runs import configured, let_in, user_is


def asking(*messages: tuple[str, str]) -> LLMRequest:
    made = [Message(role=role, content=[TextPart(text=text)]) for role, text in messages]  # type: ignore[arg-type]
    return LLMRequest(model="m", messages=made, raw=RawBody("x", b"{}"))


async def said(request: LLMRequest, **prompt: Any) -> list[tuple[str, str]]:
    run = await let_in(await configured(PromptManager, prompt=prompt), request=request)
    assert run.context.request.raw is None, "the client's own bytes would be sent"
    return [(message.role, message.text) for message in run.context.request.messages]


USER = ("user", "Hi")


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ({"mode": "override", "content": "New"}, [("system", "New"), USER]),
        ({"mode": "before", "content": "First."}, [("system", "First.\n\nOld"), USER]),
        ({"mode": "after", "content": "Last."}, [("system", "Old\n\nLast."), USER]),
        ({"mode": "wrapper", "before": "<", "after": ">"}, [("system", "<\n\nOld\n\n>"), USER]),
        ({"mode": "override", "content": "New", "target": "user"}, [("system", "Old"), ("user", "New")]),
        (
            {"mode": "wrapper", "before": "Q:", "after": "A:", "target": "user"},
            [("system", "Old"), ("user", "Q:\n\nHi\n\nA:")],
        ),
    ],
)
async def test_each_mode_in_each_place(prompt: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert await said(asking(("system", "Old"), USER), **prompt) == expected


async def test_without_a_system_prompt_one_is_made() -> None:
    assert await said(asking(USER), mode="before", content="Be kind.") == [("system", "Be kind."), USER]
    wrapped = await said(asking(USER), mode="wrapper", before="<", after=">")
    assert wrapped == [("system", "<\n\n>"), USER]


async def test_several_system_messages_are_one_prompt() -> None:
    request = asking(("system", "A"), ("developer", "B"), USER)
    assert await said(request, mode="override", content="New") == [("system", "New"), USER]
    request = asking(("system", "A"), ("developer", "B"), USER)
    assert await said(request, mode="wrapper", before="<", after=">") == [
        ("system", "<\n\nA"),
        ("developer", "B\n\n>"),
        USER,
    ]


async def test_the_last_message_of_the_user_keeps_its_pictures_and_the_others_their_words() -> None:
    request = asking(("user", "one"), ("assistant", "two"), ("user", "three"))
    request.messages[2].content.append(ImagePart(url="https://x/y.png"))
    run = await let_in(
        await configured(PromptManager, prompt={"mode": "override", "content": "new", "target": "user"}),
        request=request,
    )
    messages = run.context.request.messages
    assert [message.text for message in messages] == ["one", "two", "new"]
    assert any(isinstance(part, ImagePart) for part in messages[2].content)
    assert request.messages[2].text == "three", "the client's request was changed in place"


async def test_names_stand_for_values() -> None:
    request = asking(USER)
    request.metadata.user_id = "ann"
    prompt = {"mode": "before", "content": "For $user_id on ${model}: $tier, $$5, $unknown", "metadata": {}}
    first = await configured(PromptManager, metadata={"tier": "gold"})
    second = await configured(PromptManager, prompt=prompt)
    run = await let_in(first, second, request=request)
    assert run.context.request.messages[0].text == "For ann on m: gold, $5, $unknown"


async def test_metadata_of_several_is_merged() -> None:
    first = await configured(PromptManager, metadata={"a": 1, "deep": {"x": 1}})
    second = await configured(
        PromptManager, prompt={"mode": "before", "content": "B", "metadata": {"b": 2, "deep": {"y": 2}}}
    )
    run = await let_in(first, second, request=asking(USER))
    assert run.context.metadata == {"a": 1, "b": 2, "deep": {"x": 1, "y": 2}}


async def test_metadata_of_one_is_merged_as_deeply() -> None:
    plugin = await configured(
        PromptManager,
        metadata={"a": 1, "deep": {"x": 1, "z": {"p": 1}}},
        prompt={"mode": "before", "content": "B", "metadata": {"deep": {"y": 2, "z": {"q": 2}}}},
        experiment={
            "id": "e",
            "variants": [
                {
                    "name": "v",
                    "percentage": 100,
                    "prompt": {"mode": "after", "content": "C", "metadata": {"a": 3, "deep": {"z": {"q": 4}}}},
                }
            ],
        },
    )
    for _ in range(2):
        run = await let_in(plugin, request=asking(USER))
        assert run.context.metadata == {
            "a": 3,
            "deep": {"x": 1, "y": 2, "z": {"p": 1, "q": 4}},
            "experiments": [{"id": "e", "variant": "v"}],
        }, "and the configuration is not changed by it"


async def test_every_experiment_is_recorded_and_the_last_one_is_the_context_s() -> None:
    def experiment(name: str, percentage: int) -> dict[str, Any]:
        return {"id": name, "variants": [{"name": "on", "percentage": percentage}]}

    plugins = [
        await configured(PromptManager, experiment=experiment("first", 100), metadata={"experiments": "mine"}),
        await configured(PromptManager, metadata={"a": 1}),
        await configured(PromptManager, experiment=experiment("second", 0)),
    ]
    run = await let_in(*plugins, request=asking(USER))
    assert run.context.metadata == {
        "a": 1,
        "experiments": [{"id": "first", "variant": "on"}, {"id": "second", "variant": "control"}],
    }
    assert (run.context.experiment_id, run.context.experiment_variant) == ("second", "control")


EXPERIMENT = {
    "id": "tone",
    "variants": [
        {"name": "warm", "percentage": 30, "prompt": {"mode": "before", "content": "Warm.", "metadata": {"v": "w"}}},
        {"name": "dry", "percentage": 20},
    ],
}


async def test_users_fall_into_variants_by_their_shares_and_stay() -> None:
    plugin = await configured(PromptManager, experiment=EXPERIMENT)
    names = [f"user-{number}" for number in range(2000)]
    fell: dict[str, str | None] = {}
    for name in names:
        run = await let_in(plugin, **user_is(name, asking(USER)))
        fell[name] = run.context.experiment_variant
        assert run.context.experiment_id == "tone"
        assert (run.context.request.messages[0].text == "Warm.") == (fell[name] == "warm")
        experiments = [{"id": "tone", "variant": fell[name]}]
        own = {"v": "w"} if fell[name] == "warm" else {}
        assert run.context.metadata == {"experiments": experiments, **own}
        if fell[name] != "warm":
            assert run.context.request.raw is not None, "nothing was changed, so the bytes stay"
    shares = Counter(fell.values())
    assert shares["warm"] == pytest.approx(600, rel=0.15)
    assert shares["dry"] == pytest.approx(400, rel=0.2)
    assert shares["control"] == pytest.approx(1000, rel=0.1)
    again = [(await let_in(plugin, **user_is(name, asking(USER)))).context.experiment_variant for name in names[:50]]
    assert again == [fell[name] for name in names[:50]]


async def test_who_is_nobody_falls_by_chance() -> None:
    plugin = await configured(PromptManager, experiment=EXPERIMENT)
    variants = {(await let_in(plugin, request=asking(USER))).context.experiment_variant for _ in range(200)}
    assert variants == {"warm", "dry", "control"}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "give 'prompt', 'experiment' or 'metadata'"),
        ({"prompt": {"mode": "before"}}, "prompt: mode 'before' needs 'content'"),
        ({"prompt": {"mode": "wrapper"}}, "prompt: mode 'wrapper' needs 'before' or 'after'"),
        ({"prompt": {"mode": "wrapper", "content": "x", "after": "y"}}, "mode 'wrapper' has no 'content'"),
        ({"prompt": {"mode": "before", "content": "5 $ each"}}, "a '$' that begins no name"),
        (
            {"experiment": {"id": "x", "variants": [{"name": "a", "percentage": 60}, {"name": "b", "percentage": 60}]}},
            "come to more than 100",
        ),
        (
            {"experiment": {"id": "x", "variants": [{"name": "control", "percentage": 6}]}},
            "each name once, and none is 'control'",
        ),
        (
            {"experiment": {"id": "x", "variants": [{"name": "a", "percentage": 6, "prompt": {"mode": "after"}}]}},
            "experiment.variants[0].prompt: mode 'after' needs 'content'",
        ),
    ],
)
def test_what_is_wrong_is_told(config: dict[str, Any], words: str) -> None:
    filled, problems = check_config(SCHEMA, config)
    assert not problems
    assert words in str(PromptManager().validate_config(filled))
