"""The wire's names. Imports nothing."""

API = "openai-responses"

SUMMARY_FORMAT = "openai-responses-v1"
"""`ReasoningPart.format` of a reasoning item's summary, and of its encrypted content."""

CONTENT_FORMAT = "openai-responses-content-v1"
"""The same of reasoning in the clear (`content`), which open models give. It goes back into that field."""

OWN_FORMATS = (SUMMARY_FORMAT, CONTENT_FORMAT)
