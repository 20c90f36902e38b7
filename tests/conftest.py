"""For all tests: how Hypothesis looks for counterexamples.

The suite decides the same on every run, so its random inputs are the same on every run. `make explore` draws new ones.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# How fast this machine is just now is nothing that a test may fail of.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", parent=settings.get_profile("explore"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
