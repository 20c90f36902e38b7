"""Requests for more embeddings than a service takes at once."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from providers.errors import BadResponseError
from providers.http.embedding import MAX_AT_ONCE, embed_in_batches
from providers.model import Embedding, EmbeddingRequest, EmbeddingResponse, Usage


def answer_to(batch: EmbeddingRequest) -> EmbeddingResponse:
    return EmbeddingResponse(
        model="m",
        embeddings=[Embedding(index=index, vector=[float(text)]) for index, text in enumerate(batch.texts)],
        usage=Usage(prompt_tokens=batch.size, total_tokens=batch.size),
    )


def request_of(size: int) -> EmbeddingRequest:
    return EmbeddingRequest(model="m", texts=[str(number) for number in range(size)])


@pytest.mark.parametrize(("size", "calls"), [(1, 1), (3, 1), (4, 2), (10, 4)])
async def test_vectors_come_back_in_the_order_of_their_inputs(size: int, calls: int) -> None:
    asked: list[int] = []

    async def ask(batch: EmbeddingRequest) -> EmbeddingResponse:
        asked.append(batch.size)
        await trio.sleep(0.001 * (size - int(batch.texts[0])))  # later ones come earlier
        return answer_to(batch)

    response = await embed_in_batches(request_of(size), 3, ask)
    assert [(one.index, one.vector) for one in response.embeddings] == [(n, [float(n)]) for n in range(size)]
    assert len(asked) == calls
    assert response.usage == Usage(prompt_tokens=size, total_tokens=size)


async def test_no_more_calls_than_allowed_at_the_same_time(autojump_clock: trio.testing.MockClock) -> None:
    running = most = 0

    async def ask(batch: EmbeddingRequest) -> EmbeddingResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1
        return answer_to(batch)

    await embed_in_batches(request_of(40), 1, ask)
    assert most == MAX_AT_ONCE


async def test_the_first_failure_ends_the_others_and_is_what_the_caller_gets(
    autojump_clock: trio.testing.MockClock,
) -> None:
    cancelled = 0

    async def ask(batch: EmbeddingRequest) -> EmbeddingResponse:
        nonlocal cancelled
        if batch.texts == ["1"]:
            raise BadResponseError("broken")
        try:
            await trio.sleep_forever()
        finally:
            cancelled += 1
        raise AssertionError

    with pytest.raises(BadResponseError, match="broken"):
        await embed_in_batches(request_of(8), 1, ask)
    assert cancelled == MAX_AT_ONCE - 1
