"""The name that this wire format has in the gateway. Imports nothing."""

from __future__ import annotations

API = "openai-completions"
