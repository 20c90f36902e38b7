"""`regex-hider`: what matches a pattern is hidden, in requests, answers and streams, wherever a chunk ends.

`prefixes` tells what could still become a match, `hiding` hides in a text that comes in pieces, `plugin` does it to
requests and answers.
"""
