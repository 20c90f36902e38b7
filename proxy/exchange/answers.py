"""A whole answer's body, in the client's API."""

from __future__ import annotations

from providers.errors import BadResponseError, error_of_event
from providers.model import LLMRequest, LLMResponse
from proxy.apis.base import ClientAPI
from proxy.exchange.outcome import Outcome


def answer_body(api: ClientAPI, response: LLMResponse, request: LLMRequest, outcome: Outcome) -> bytes:
    """The provider's own bytes where the client speaks its API, else the answer encoded. Raises `ProviderError`.

    What the client's API cannot say of it is noted in `outcome`.
    """
    raw = response.raw
    if raw is not None and raw.api == api.api:
        return raw.body
    if response.error is not None:
        raise error_of_event(response.error, None)
    if not response.choices:
        raise BadResponseError("the provider's answer holds no message")
    body = api.transform_output(response, request)
    outcome.unsaid = request.notes.unsaid
    outcome.dropped_blocks = len(outcome.unsaid)
    return body
