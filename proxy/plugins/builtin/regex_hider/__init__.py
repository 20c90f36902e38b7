"""`regex-hider`: what matches a pattern is hidden, in requests, answers and streams, wherever a chunk ends.

`prefixes` tells what could still become a match, `hiding` hides in a text that comes in pieces, `json_hiding` in JSON
that does, `whole_texts` in what comes whole; `rewriting` finds the texts of requests and answers, `streams` those of
chunks, and `plugin` is all of it.
"""
