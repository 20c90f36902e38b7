"""Which parameters of a request matter, in one table. Imports nothing.

Parameters that the model in the middle has fields for are read by name in `request_decoder` and `config_decoder`. Every
other one is *kept* (it asks nothing of another API), a *hint* (another API may leave it out without changing the
answer), or an *extra* (it must be honoured or refused). What is not named here is an extra: a parameter that is not
known must not be dropped in silence.

| parameter | is | why |
|---|---|---|
| safetySettings | hint | thresholds of Google's own filters; other providers have theirs |
| labels, store, serviceTier | hint | billing, storage, speed |
| generationConfig.mediaResolution | hint | how closely to look |
| generationConfig.enableEnhancedCivicAnswers | hint | |
| generationConfig.responseModalities, if it is just TEXT | kept | it is what everyone does anyway |
| toolConfig.functionCallingConfig.streamFunctionCallArguments | kept | how the answer is cut |
| toolConfig.includeServerSideToolInvocations | kept | what is shown in the answer |
| toolConfig.functionCallingConfig of mode VALIDATED without names | hint | AUTO, which is nearest, is in the field |
| cachedContent | extra | part of the prompt is not in the request |
| toolConfig.functionCallingConfig of mode AUTO or NONE with allowed names | kept | the API refuses that |
| toolConfig.retrievalConfig | extra | where the user is |
| generationConfig.speechConfig, .audioTimestamp, .routingConfig, ... | extra | |
"""

from __future__ import annotations

HINTS = frozenset(
    {
        "generationConfig.enableEnhancedCivicAnswers",
        "generationConfig.mediaResolution",
        "labels",
        "safetySettings",
        "serviceTier",
        "store",
    }
)

KEPT = frozenset({"toolConfig.includeServerSideToolInvocations"})
