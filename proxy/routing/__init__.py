"""Which models answer a request, and in which order they are tried."""

from proxy.routing.plan import Candidate, RoutePlan
from proxy.routing.table import ModelTable, Routable

__all__ = ["Candidate", "ModelTable", "Routable", "RoutePlan"]
