"""`cache`: the same request again gets the same answer, without asking a model.

`keys` says which requests are the same, `store` keeps answers (in this process or in Redis), `replay` makes a stream of
a kept answer, `plugin` puts it together.
"""
