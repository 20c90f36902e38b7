"""`model-router`: which models answer a request, in which order, and what happens when one does not.

`settings` says what the file holds, `strategies` puts targets in order, `plugin` makes the plan of them. The plan is
executed by `proxy.routing.race`.
"""
