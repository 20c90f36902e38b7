"""`rate-limit`: requests, tokens and concurrency, for each key, user, model ...

`settings` says what the file holds, `store` what is asked of who counts: `memory` (this process) or `redis_store`
(several workers and machines, by way of `leases`). `tokens` says what a request costs, `headers` tells clients in their
API's words, `plugin` puts it together.
"""
