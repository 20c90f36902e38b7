"""Requests of Gemini clients. The model's name and whether to stream stand in the path, not in the body."""

from __future__ import annotations

from hypothesis import strategies as st

from providers.model import ReasoningPart
from providers.wire.gemini_generate.signatures import encode_signature
from tests.providers.wire.round_trips.clients.drawing import (
    BLOCKS,
    BUDGETS,
    COUNTS,
    DATA,
    FILE_TYPES,
    FILE_URLS,
    FRACTIONS,
    IMAGE_TYPES,
    IMAGE_URLS,
    NAMES,
    OBJECTS,
    SCHEMAS,
    STOPS,
    TEXTS,
    TOKENS,
    YES_OR_NO,
    Call,
    Some,
    Wire,
    Wires,
    chained,
    conversations,
    is_loose,
    listed,
    maybe,
    merged,
    some,
    tools_and_choice,
    wire,
)

_TEXT = wire({"text": TEXTS})
_SOUND_TYPES = st.sampled_from(["audio/wav", "audio/mpeg"])
_RESOLUTION = st.just({"level": "MEDIA_RESOLUTION_HIGH"})
_INLINE = wire(
    {"inlineData": wire({"mimeType": IMAGE_TYPES | _SOUND_TYPES, "data": DATA})}, mediaResolution=_RESOLUTION
) | wire({"inlineData": wire({"mimeType": FILE_TYPES, "data": DATA}, displayName=TEXTS)})
_FILE = (
    wire({"fileUri": IMAGE_URLS, "mimeType": IMAGE_TYPES})
    | wire({"fileUri": FILE_URLS | st.just("gs://b/a.pdf"), "mimeType": st.just("application/pdf")}, displayName=TEXTS)
    | st.just({"fileUri": "https://h/a.pdf"})
)
_CLIP = st.just(
    {"fileData": {"fileUri": "https://h/v", "mimeType": "video/mp4"}, "videoMetadata": {"startOffset": "1s"}}
)


def _user(*parts: Some[list[Wire]]) -> Some[Wires]:
    return listed(wire({"role": "user", "parts": chained(*parts)}))


_ASKS = _user(some(_TEXT | _INLINE | wire({"fileData": _FILE}) | _CLIP), listed(_TEXT))


def _thought(block: ReasoningPart) -> Wire:
    """Google signs no empty thought; a signature of it alone stands in a text."""
    if is_loose(block):
        return {"text": "", "thoughtSignature": block.signature}
    return {"text": block.text, "thought": True, "thoughtSignature": encode_signature(block)}


_SIGNATURE = st.just("Z29v")
_SAID = st.one_of(
    wire({"text": TEXTS}, thoughtSignature=_SIGNATURE),
    wire({"inlineData": wire({"mimeType": IMAGE_TYPES, "data": DATA})}),
    st.just({"executableCode": {"language": "PYTHON", "code": "1"}}),
)


def _call(call: Call) -> Some[Wire]:
    function = wire({"id": call.id, "name": call.name}, args=OBJECTS)
    return wire({"functionCall": function}, thoughtSignature=_SIGNATURE, partMetadata=st.just({"a": 1}))


def _answers(calls: list[Call]) -> Some[Wires]:
    parts = chained(
        maybe(wire({"text": TEXTS, "thought": True})),
        BLOCKS.map(lambda blocks: [_thought(block) for block in blocks]),
        some(_SAID) if not calls else st.lists(_SAID, max_size=2),
        listed(*map(_call, calls)),
    )
    return listed(wire({"role": "model", "parts": parts}))


def _result(call: Call) -> Some[Wire]:
    response = OBJECTS | wire({"output": TEXTS}) | wire({"error": TEXTS | OBJECTS})
    return wire(
        {"functionResponse": wire({"id": call.id, "name": call.name, "response": response}, parts=some(_INLINE))}
    )


def _results(calls: list[Call]) -> Some[Wires]:
    return _user(listed(*map(_result, calls)))


_FUNCTION = wire({"name": NAMES}, description=TEXTS, parametersJsonSchema=SCHEMAS, response=st.just({"type": "STRING"}))
_TOOL = wire({"functionDeclarations": some(_FUNCTION)}) | st.just({"googleSearch": {}})


def _choice(tool: Wire) -> Some[Wire]:
    calling = wire({"mode": st.sampled_from(["AUTO", "ANY", "NONE", "VALIDATED"])})
    if functions := tool.get("functionDeclarations"):
        calling |= wire({"mode": "ANY", "allowedFunctionNames": [functions[0]["name"]]})
        calling |= wire({"mode": st.sampled_from(["ANY", "VALIDATED"]), "allowedFunctionNames": ["f", "send"]})
    return wire({}, toolConfig=wire({}, functionCallingConfig=calling))


_CONFIG = merged(
    wire(
        {"maxOutputTokens": TOKENS},
        temperature=FRACTIONS | st.just(1.5),
        topP=FRACTIONS,
        topK=COUNTS,
        stopSequences=STOPS,
        seed=COUNTS,
        frequencyPenalty=FRACTIONS,
        presencePenalty=FRACTIONS,
        candidateCount=st.integers(1, 2),
        mediaResolution=st.just("MEDIA_RESOLUTION_LOW"),
        audioTimestamp=st.just(True),
    ),
    wire({}, responseLogprobs=YES_OR_NO) | wire({"responseLogprobs": True, "logprobs": COUNTS}),
    st.just({})
    | wire({"responseMimeType": st.sampled_from(["text/plain", "application/json"])})
    | wire({"responseMimeType": "application/json", "responseJsonSchema": SCHEMAS}),
    wire(
        {},
        thinkingConfig=wire({}, thinkingBudget=BUDGETS | st.sampled_from([0, -1]), includeThoughts=YES_OR_NO)
        | wire({"thinkingLevel": st.sampled_from(["MINIMAL", "LOW", "HIGH"])}, includeThoughts=YES_OR_NO),
    ),
)

BODIES = merged(
    wire(
        {"contents": conversations(_ASKS, _answers, _results), "generationConfig": _CONFIG},
        systemInstruction=wire({"parts": some(_TEXT)}),
        safetySettings=st.just([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]),
        labels=st.just({"a": "b"}),
        cachedContent=st.just("cachedContents/1"),
    ),
    tools_and_choice(_TOOL, _choice),
)
