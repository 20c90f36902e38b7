"""When a plugin takes part: prefixes, regular expressions in linear time, and all keys together."""

from __future__ import annotations

from typing import Any

import pytest

from providers.model import LLMRequest, RequestMetadata
from proxy.plugins import HTTPRequest, PluginContext
from proxy.plugins.conditions import CompiledConditions, Conditions, compile_pattern
from proxy.routing import Candidate, RoutePlan


def context(model: str = "gpt-4.1-mini", path: str = "/v1/chat/completions", method: str = "POST", **more: Any) -> Any:
    user = more.pop("user", None)
    http = HTTPRequest(method=method, path=path, http_version="1.1", scheme="http")
    return PluginContext(
        request=LLMRequest(model=model, metadata=RequestMetadata(user_id=user)), http_request=http, **more
    )


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        (Conditions(), True),
        (Conditions(paths=("/v1/chat",)), True),
        (Conditions(paths=("/v1/messages", "/v1/chat")), True),
        (Conditions(paths=("/v1/messages",)), False),
        (Conditions(paths=("/completions$/",)), True),
        (Conditions(methods=("get", "post")), True),
        (Conditions(methods=("POS",)), False),
        (Conditions(models=("gpt-4",)), True),
        (Conditions(models=("GPT-4",)), False),
        (Conditions(models=("/(?i)GPT-4/",)), True),
        (Conditions(models=("/^mini/",)), False),
        (Conditions(models=("/mini$/",)), True),
        (Conditions(user_ids=("team-a:",)), True),
        (Conditions(user_ids=("team-b:",)), False),
        (Conditions(headers={"X-Team": "blue"}), True),
        (Conditions(headers={"x-team": "/^b.*e$/"}), True),
        (Conditions(headers={"x-team": ""}), True),
        (Conditions(headers={"x-other": ""}), False),
        (Conditions(headers={"authorization": ""}), False),  # a credential is never seen
        (Conditions(paths=("/v1",), models=("claude",)), False),  # all keys must
        (Conditions(paths=("/v1",), models=("gpt",), headers={"x-team": "blue"}), True),
    ],
)
def test_conditions(conditions: Conditions, holds: bool) -> None:
    headers = {b"x-team": b"blue", b"authorization": b"Bearer x"}
    assert CompiledConditions(conditions).hold(context(headers=headers, user="team-a:joe")) is holds


def test_who_is_nobody_matches_no_user() -> None:
    assert not CompiledConditions(Conditions(user_ids=("",))).hold(context())


def test_the_model_is_the_one_that_a_plugin_chose() -> None:
    chosen = context(model="a")
    chosen.target_model = "b"
    assert CompiledConditions(Conditions(models=("b",))).hold(chosen)
    assert not CompiledConditions(Conditions(models=("a",))).hold(chosen)


def test_of_several_candidates_any_counts() -> None:
    """Any of them may come to answer: a guard that looked at the first only would miss the fallback."""
    chosen = context(model="a")
    chosen.target_model = "b"
    chosen.routes = RoutePlan(candidates=(Candidate("near"), Candidate("far-1")))
    assert CompiledConditions(Conditions(models=("near",))).hold(chosen)
    assert CompiledConditions(Conditions(models=("far-",))).hold(chosen)
    assert CompiledConditions(Conditions(models=("/^far/", "x"))).hold(chosen)
    for other in ("a", "b"):
        assert not CompiledConditions(Conditions(models=(other,))).hold(chosen), "nobody asks it any more"


def test_a_slash_alone_is_a_prefix() -> None:
    assert compile_pattern("/")("/v1")
    assert compile_pattern("//")("//x")


@pytest.mark.parametrize("pattern", ["/(/", "/[a/", r"/(a)\1/", "/(?=a)/"])
def test_what_re2_does_not_take_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no regular expression of RE2's"):
        compile_pattern(pattern)


def test_no_pattern_can_hang_the_gateway() -> None:
    matches = compile_pattern("/^(a+)+$/")
    assert not matches("a" * 50_000 + "b")  # by backtracking this test would never end
