"""Sealed text in the history: opened in what an event reads as today, never in what is stored."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from ledger.api.call import Call
from ledger.api.history.wire import CurrentForm, EventTold, Form
from ledger.personal.opening import opened_json


async def opened(call: Call, events: Sequence[EventTold], form: Form) -> Sequence[EventTold]:
    """Open what is sealed in the current form of events; all of their keys are asked for at once."""
    if form is Form.STORED:
        return events
    currents = msgspec.json.encode([event.current for event in events])
    told = await opened_json(call.services.identity, currents)
    if told == currents:
        return events
    pairs = zip(events, msgspec.json.decode(told, type=list[CurrentForm]), strict=True)
    return [replace(event, current=current) for event, current in pairs]
