"""A whole answer's body, in the client's API."""

from __future__ import annotations

from providers.errors import BadResponseError, error_of_event
from providers.model import LLMRequest, LLMResponse
from proxy.apis.base import ClientAPI


def answer_body(api: ClientAPI, response: LLMResponse, request: LLMRequest) -> bytes:
    """The provider's own bytes where the client speaks its API, else the answer encoded. Raises `ProviderError`."""
    raw = response.raw
    if raw is not None and raw.api == api.api:
        return raw.body
    if response.error is not None:
        raise error_of_event(response.error, None)
    if not response.choices:
        raise BadResponseError("the provider's answer holds no message")
    return api.transform_output(response, request)
