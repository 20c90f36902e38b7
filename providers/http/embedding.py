"""Embeddings over HTTP: a service's codecs, retries and deadlines, and batches that are larger than it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec
import trio

from providers.model import Embedding, EmbeddingRequest, EmbeddingResponse, Usage

MAX_AT_ONCE = 4
"""Calls at the same time for one request whose inputs do not fit into one."""

Ask = Callable[[EmbeddingRequest], Awaitable[EmbeddingResponse]]


async def embed_in_batches(request: EmbeddingRequest, max_batch: int | None, ask: Ask) -> EmbeddingResponse:
    """Answer `request` by `ask`, in as many calls as needed. The first failure cancels the others and is raised."""
    if max_batch is None or request.size <= max_batch:
        return await ask(request)
    starts = range(0, request.size, max_batch)
    batches = [
        msgspec.structs.replace(
            request,
            texts=request.texts[start : start + max_batch],
            tokens=request.tokens[start : start + max_batch],
            raw=None,
        )
        for start in starts
    ]
    answers: list[EmbeddingResponse | None] = [None] * len(batches)
    left = iter(range(len(batches)))
    failures: list[Exception] = []

    async def work(scope: trio.CancelScope) -> None:
        try:
            for index in left:
                answers[index] = await ask(batches[index])
        except Exception as error:  # noqa: BLE001 - raised again outside of the nursery, alone
            failures.append(error)
            scope.cancel()

    async with trio.open_nursery() as nursery:
        for _ in range(min(MAX_AT_ONCE, len(batches))):
            nursery.start_soon(work, nursery.cancel_scope)
    if failures:
        raise failures[0]
    return _joined([answer for answer in answers if answer is not None], starts)


def _joined(answers: Sequence[EmbeddingResponse], starts: Sequence[int]) -> EmbeddingResponse:
    embeddings = [
        Embedding(index=start + one.index, vector=one.vector)
        for start, answer in zip(starts, answers, strict=True)
        for one in answer.embeddings
    ]
    counts = [answer.usage for answer in answers if answer.usage is not None]
    usage = Usage(
        prompt_tokens=_sum([count.prompt_tokens for count in counts]),
        total_tokens=_sum([count.total_tokens for count in counts]),
    )
    return EmbeddingResponse(model=answers[0].model, embeddings=embeddings, usage=usage if counts else None)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
