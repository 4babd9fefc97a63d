"""Waiting for the answer to a decision: a bounded long poll."""

from collections.abc import Awaitable, Callable
from typing import Final

from ledger.api.call import Call
from ledger.api.lasting import house_of, line_of
from ledger.api.types import HttpRequest
from ledger.delivery.waiting import Answered, told
from ledger.domain.errors import NotFound
from ledger.domain.ids import StreamName
from ledger.identity.people import ERASED
from ledger.identity.sessions import still_in
from ledger.projections.decision_row import DecisionRow

MAX_WAIT: Final = 55
"""Seconds: less than what proxies on the way give an answer."""
AFTER_A_WAIT: Final = 1
WITHOUT_A_WAIT: Final = 2


class NotDecidedYet(NotFound):
    """Response not found: nobody has decided yet."""

    code = "decision-pending"
    advice = "Ask again after the time in Retry-After; 'wait' answers as soon as somebody has decided."


async def answered(
    request: HttpRequest, stream: StreamName, look: Callable[[], Awaitable[DecisionRow]], *, seconds: int
) -> Answered:
    """Give the answer that ``look`` finds, or the one that comes within so many seconds.

    Raises:
        NotDecidedYet: there is none yet.
        TooManyWaiters: so many wait already.
        Unauthenticated: the caller's session ended meanwhile.
    """
    if not seconds:
        return await _known(request, await look(), retry_after=WITHOUT_A_WAIT)
    call = Call(request)
    waiters = call.services.live.waiters
    with waiters.place(stream) as place:
        row = await look()
        if row.answer is not None:
            return await _known(request, row, retry_after=WITHOUT_A_WAIT)
        state = request.scope["state"]
        with line_of(state).watched(place.give_up), house_of(state).aside():
            found = await waiters.wait(place, seconds)
    if found is None:
        raise NotDecidedYet(retry_after=AFTER_A_WAIT)
    await still_in(call.services.identity, call.principal)
    return found


async def _known(request: HttpRequest, row: DecisionRow, *, retry_after: int) -> Answered:
    if row.answer is None:
        raise NotDecidedYet(retry_after=retry_after)
    call, person = Call(request), row.answer.decided_by
    name = None if person is None else (await call.names([person])).get(person, ERASED)
    return await told(call.services.ledger, row, row.answer, name)
