"""The replay server: recorded answers under every delivery and every fault, on real sockets.

    async with ReplayServer(Play(recording, delivery=DELIVERIES["bytes-1"], fault=FAULTS["rst"])) as server:
        ...  # point a provider, this gateway or any client at server.url

`play` says what is played and how it becomes bytes (pure functions), `deliveries` and `faults` are the two registries,
`server` writes the bytes. Imports the recordings of `providers.replay`, nothing of the code that is to be tested.
"""

from conformance.replay.answer import Answer
from conformance.replay.deliveries import DELIVERIES, Delivery, every_split
from conformance.replay.exchange import Exchange, ReceivedRequest
from conformance.replay.faults import FAULTS, Fault
from conformance.replay.play import Play
from conformance.replay.server import ReplayServer, Script

__all__ = [
    "DELIVERIES",
    "FAULTS",
    "Answer",
    "Delivery",
    "Exchange",
    "Fault",
    "Play",
    "ReceivedRequest",
    "ReplayServer",
    "Script",
    "every_split",
]
