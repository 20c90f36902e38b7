"""The vendors that speak OpenAI Chat Completions, one row each. Data only: `openai-compatible` acts on it.

Adding a vendor is a row in `table.py`, plus a recording of it where one can be had.
"""

from providers.presets.preset import Endpoint, Preset
from providers.presets.table import PRESETS

__all__ = ["PRESETS", "Endpoint", "Preset"]
