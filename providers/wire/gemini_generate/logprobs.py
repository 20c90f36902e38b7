"""Log probabilities: Gemini's two parallel lists, and OpenAI's one list that the model in the middle has."""

from __future__ import annotations

from typing import Any

from providers.wire.gemini_generate.structs import LogprobsCandidate, LogprobsResult


def decode_logprobs(result: LogprobsResult | None) -> dict[str, Any] | None:
    """In OpenAI's shape; None: there are none."""
    if result is None or not result.chosen_candidates:
        return None
    tops = result.top_candidates or []
    content = []
    for place, chosen in enumerate(result.chosen_candidates):
        alternatives = (tops[place].candidates or []) if place < len(tops) else []
        content.append({**_token(chosen), "top_logprobs": [_token(alternative) for alternative in alternatives]})
    return {"content": content}


def _token(candidate: LogprobsCandidate) -> dict[str, Any]:
    token = candidate.token or ""
    return {"token": token, "logprob": candidate.log_probability or 0.0, "bytes": list(token.encode())}


def encode_logprobs(logprobs: dict[str, Any] | None) -> dict[str, Any] | None:
    """A `logprobsResult`; None: there is nothing to say."""
    content = logprobs.get("content") if logprobs else None
    if not content:
        return None
    return {
        "chosenCandidates": [_candidate(token) for token in content],
        "topCandidates": [
            {"candidates": [_candidate(alternative) for alternative in token.get("top_logprobs") or ()]}
            for token in content
        ],
    }


def _candidate(token: dict[str, Any]) -> dict[str, Any]:
    return {"token": token.get("token"), "logProbability": token.get("logprob")}
