"""Any URL: somebody else's gateway, in front of the suite's replay server."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.subjects.base import Traits
from conformance.subjects.http_client import Address
from conformance.subjects.http_subject import HTTPSubject
from conformance.wires import WireFormat


class TargetSubject(HTTPSubject):
    """Held to what every intermediary between two speakers of one API owes, not to promises it never made.

    It must be configured to send its requests to the replay server, without a time limit below a few seconds.
    """

    def __init__(
        self, wire: WireFormat, url: str, *, headers: Mapping[str, str] = {}, model_prefix: str = "", model: str = "m"
    ) -> None:
        self.name = f"target:{wire.short}"
        self.wire = self.upstream = wire
        self.address = Address(url)
        self.extra_headers = headers
        self.model = model_prefix + model
        self.traits = Traits(strict=False, in_process=False)
