"""Messages of the model as Anthropic's `system` and turns. Imports the model and its neighbours.

* System and developer messages become `system` blocks, wherever they stand: that keeps their authority, which a user
  turn would take away, at the price of their place. A `system` message in mid-conversation, which models before Claude
  Opus 4.8 refuse, is written only for a client that wrote it itself.
* Neighbouring turns of one role are one turn, as the API would read them; a user's turn begins with its tool results,
  as the API demands.
"""

from __future__ import annotations

from providers.errors import RequestError
from providers.model import LLMRequest, Message
from providers.wire.anthropic_messages.request_parts import Block, PartEncoder
from providers.wire.anthropic_messages.structs import API
from providers.wire.base import Translation
from providers.wire.extra_fields import Extra
from providers.wire.leftover_parts import messages_for


class Turn:
    """One turn in the making."""

    __slots__ = ("blocks", "extra", "results", "role")

    def __init__(self, role: str) -> None:
        self.role = role
        self.extra: Extra = {}
        self.results: list[Block] = []
        self.blocks: list[Block] = []


def encode_turns(request: LLMRequest, translation: Translation) -> tuple[list[Block], list[dict[str, object]]]:
    """The `system` blocks and the `messages`. Raises `RequestError` if there is no turn to send."""
    encoder = PartEncoder(request.metadata.api, translation)
    own = request.metadata.api == API
    system: list[Block] = []
    turns: list[Turn] = []
    for message in messages_for(API, request, translation):
        if message.name is not None:
            translation.drop("messages.name")
        role = _role(message, keep_system=own and bool(turns))
        if role is None:
            system += encoder.text_only(message.content)
            continue
        if not turns or turns[-1].role != role:
            turns.append(Turn(role))
        turn = turns[-1]
        if own:
            turn.extra.update(message.extra or {})
        if message.role == "tool":
            turn.results += encoder.results(message.content)
        elif role == "system":
            turn.blocks += encoder.text_only(message.content)
        else:
            turn.blocks += encoder.blocks(message.content)
    messages: list[dict[str, object]] = [
        {"role": turn.role, "content": [*turn.results, *turn.blocks], **turn.extra}
        for turn in turns
        if turn.results or turn.blocks
    ]
    if not messages:
        param = translation.spell("messages")
        raise RequestError(f"{param}: at least one user message with content is required", param=param)
    return system, messages


def _role(message: Message, *, keep_system: bool) -> str | None:
    """The turn's role on the wire; None: the message goes into `system`."""
    if message.role in ("system", "developer"):
        return "system" if keep_system else None
    return "user" if message.role == "tool" else message.role
