"""What differs between the models behind Converse: how reasoning and top_k are spelled, and whether prompts can be
cached. One table, found by the model's name. Imports nothing of the request.

Sources: the inference parameters of each model in the Bedrock user guide
(https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html) and its page on prompt caching.
"""

from __future__ import annotations

import enum

import msgspec


class Thinking(enum.Enum):
    """Where a family's reasoning parameters go."""

    CLAUDE = "additionalModelRequestFields.thinking, outputConfig.effort"
    NOVA = "additionalModelRequestFields.reasoningConfig"
    EFFORT_FIELD = "additionalModelRequestFields.reasoning_effort"
    OUTPUT_CONFIG = "outputConfig.effort"


class Family(msgspec.Struct, frozen=True, kw_only=True):
    marks: tuple[str, ...]
    """What its models' names contain, in lower case."""
    thinking: Thinking = Thinking.OUTPUT_CONFIG
    top_k: tuple[str, ...] = ()
    """The path of top_k below additionalModelRequestFields; empty: the family has none."""
    caches: bool = False
    """Whether it takes cache points."""


CLAUDE = Family(marks=("anthropic.", "claude"), thinking=Thinking.CLAUDE, top_k=("top_k",), caches=True)
OTHER = Family(marks=())

_FAMILIES = (
    CLAUDE,
    Family(marks=("amazon.nova-2", "nova-2-"), thinking=Thinking.NOVA, top_k=("inferenceConfig", "topK"), caches=True),
    Family(marks=("amazon.nova",), top_k=("inferenceConfig", "topK"), caches=True),
    Family(marks=("gpt-oss",), thinking=Thinking.EFFORT_FIELD),
    Family(marks=("mistral.",), top_k=("top_k",)),
    Family(marks=("cohere.",), top_k=("k",)),
)


def family_of(model: str) -> Family:
    """The family of a model id, an inference profile or an ARN that names its model; `OTHER` for any other."""
    name = model.lower()
    return next((family for family in _FAMILIES if any(mark in name for mark in family.marks)), OTHER)
