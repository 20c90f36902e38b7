"""`guard`: caps on what goes in, and a check of structured output against its JSON Schema.

`sizes` measures requests, `schemas` holds values against schemas in bounded time, `plugin` does it to requests and
answers.
"""
