"""``ledger erase`` and ``ledger hold``: asking for an erasure on this machine, and holding one up.

The operator asks; an administrator approves, over HTTP and in their own name, by which it happens. Nothing that is
typed here stands for another person's word.
"""

import asyncio
import time
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias, assert_never
from urllib.parse import quote
from uuid import UUID, uuid4

from cyclopts import Parameter

from ledger.api import erasing_wire as wire
from ledger.api.services import Services
from ledger.cli.operating import operating, operator, overseeing
from ledger.cli.tables import print_json, print_table
from ledger.command_handling.facts import state_of
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import Registered
from ledger.domain.authority import Role
from ledger.domain.errors import Invalid
from ledger.domain.ids import HoldId, PersonId, SubjectId
from ledger.domain.subject.decide import HoldNotFound
from ledger.domain.subject.events import LegalBasis, LegalHoldPlaced, SubjectKind
from ledger.domain.subject.state import Erased, Kept, Requested, SubjectState
from ledger.erasing import acting, finding, rows
from ledger.erasing.rows import Named
from ledger.identity import people
from ledger.store.ledger import Ledger, account_stream
from ledger.store.streams import read_stream

Json: TypeAlias = Annotated[bool, Parameter(negative="", help="As JSON, for programs.")]
Why: TypeAlias = Annotated[str, Parameter(help="Why; it is kept in the ledger for good: name nobody.")]
Subject: TypeAlias = Annotated[str, Parameter(help="person/NAME or data_subject/NAME; an id is a name too.")]
BasisName: TypeAlias = Literal[
    "no_longer_needed",
    "consent_withdrawn",
    "objection",
    "unlawful_processing",
    "legal_obligation",
    "collected_from_child",
    "other_law",
]
"""A ``LegalBasis`` as it is written everywhere else: an enumeration would be typed by its members' names."""

ERASED, OTHERWISE, WAITING = 0, 1, 2
MOST_LISTED: Final = 500
LOOK_EVERY: Final = 0.5


class NoApprover(Invalid):
    """Whoever is to approve is another person, and an active administrator.

    Context: ``approved_by``.
    """

    code = "no-approver"


class NotASubject(Invalid):
    """A subject is written person/NAME or data_subject/NAME.

    Context: what was written, as ``subject``.
    """

    code = "not-a-subject"


def erase(
    subject: Subject,
    *,
    basis: Annotated[BasisName, Parameter(help="On which legal ground.")],
    approved_by: Annotated[
        str, Parameter(help="Which administrator approves it, over HTTP, in their own name.")
    ],
    reason: Why = "asked for on the machine",
    wait: Annotated[float, Parameter(help="Seconds to wait for the approval.")] = 0,
) -> int:
    """Ask for the erasure of SUBJECT (person/NAME or data_subject/NAME), which an administrator approves.

    Exit codes: 0 it is erased, approved by that administrator; 1 by another one, or it was refused; 2 it waits.
    """
    return asyncio.run(_erase(subject, LegalBasis(basis), reason, approved_by, wait))


def place(subject: Subject, *, reason: Why) -> int:
    """Let nothing of SUBJECT be erased until this hold is lifted; its id is printed."""
    print(asyncio.run(_place(subject, reason)))
    return 0


def lift(
    subject: Subject,
    hold_id: Annotated[str, Parameter(help="The id that 'hold place' printed; 'hold list' shows it.")],
    *,
    reason: Why,
) -> int:
    """Lift one legal hold of SUBJECT."""
    asyncio.run(_lift(subject, hold_id, reason))
    print("The hold is lifted.")
    return 0


def show(*, json: Json = False) -> int:
    """Show the legal holds that stand."""
    found = asyncio.run(_held())
    if json:
        print_json(found)
    else:
        cells = [
            (
                one.kind,
                one.subject,
                hold.hold_id,
                hold.placed_by or "operator",
                _minute(hold.placed_at),
                hold.reason,
            )
            for one in found
            for hold in one.holds
        ]
        print_table(("Kind", "Subject", "Hold", "By", "Since", "Why"), cells)
    return 0


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


async def _erase(subject: str, basis: LegalBasis, reason: str, approved_by: str, wait: float) -> int:
    async with operating(only="api") as services:
        ledger, named = services.ledger, await _find(services.ledger, subject)
        approver = await _approver(ledger, approved_by, named)
        state = await _state(ledger, named.about.subject)
        if not isinstance(state, Requested):
            state = await _request(services, named, state, basis, reason)
        state = await _waited(ledger, named.about.subject, state, wait)
    return _say(named, state, approver, approved_by)


async def _request(
    services: Services, named: Named, state: SubjectState, basis: LegalBasis, reason: str
) -> SubjectState:
    """Ask in the operator's name, unless it has happened and nothing is there to be erased again."""
    ledger, about = services.ledger, named.about
    if isinstance(state, Erased) and not await finding.is_kept(ledger, about):
        return state
    await acting.request(services.identity, named, operator(), basis=basis, reason=reason)
    return await _state(ledger, about.subject)


async def _waited(ledger: Ledger, subject: SubjectId, state: SubjectState, seconds: float) -> SubjectState:
    """Wait until what is asked for has been answered, or for so many seconds."""
    until = time.monotonic() + seconds
    while isinstance(state, Requested) and time.monotonic() < until:
        rings = ledger.appended.rings()
        await ledger.appended.wait_past(rings, LOOK_EVERY)
        state = await _state(ledger, subject)
    return state


def _say(named: Named, state: SubjectState, approver: PersonId, approved_by: str) -> int:
    """Say how it stands: only the log says who has approved."""
    kind, subject = named.about.kind.value, named.about.subject
    match state:
        case Kept():
            print("It was refused, or withdrawn.")
            return OTHERWISE
        case Requested():
            print(f"Asked for, on the ground of {state.basis.value}; its id is {kind}/{subject}.")
            path = quote((named.label or str(subject)).replace("~", "~0").replace("/", "~1"), safe="~")
            print(f"It waits for {approved_by}: POST /api/subjects/{kind}/{path}/erasure/approve")
            return WAITING
        case Erased():
            by = approved_by if state.approved_by == approver else "another administrator"
            print(f"Erased at {state.at:%Y-%m-%d %H:%M:%S} UTC, approved by {by}.")
            return ERASED if state.approved_by == approver else OTHERWISE
        case _:
            assert_never(state)


async def _place(subject: str, reason: str) -> HoldId:
    async with operating(only="api") as services:
        handled = await acting.place_hold(
            services.identity,
            await _find(services.ledger, subject),
            operator(),
            hold=HoldId(uuid4()),
            reason=reason,
        )
    return next(one.event.hold for one in handled.events if isinstance(one.event, LegalHoldPlaced))


async def _lift(subject: str, hold_id: str, reason: str) -> None:
    try:
        hold = HoldId(UUID(hold_id))
    except ValueError as odd:
        raise HoldNotFound from odd
    async with operating(only="api") as services:
        await acting.lift_hold(
            services.identity, await _find(services.ledger, subject), operator(), hold=hold, reason=reason
        )


async def _held() -> list[wire.SubjectTold]:
    async with overseeing() as ledger:
        found = await rows.held(ledger.pool, ledger.ledger_id, limit=MOST_LISTED)
        states = await finding.states_now(ledger, [named.about.subject for named in found])
        paired = [(named, states[named.about.subject]) for named in found]
        persons = [person for named, state in paired for person in wire.people_in(named, state)]
        names = await people.names_of(
            ledger.pool, ledger.ledger_id, [person for person in persons if person is not None]
        )
    return [wire.told(named, state, names) for named, state in paired]


async def _find(ledger: Ledger, subject: str) -> Named:
    """Find whom ``person/NAME`` or ``data_subject/NAME`` means; a name may hold slashes, the kind does not."""
    kind, _, name = subject.partition("/")
    if not name or kind not in set(SubjectKind):
        raise NotASubject(subject=subject)
    return await finding.find(ledger, kind, name)


async def _approver(ledger: Ledger, username: str, named: Named) -> PersonId:
    """Find the administrator who is to approve.

    Raises:
        NoApprover: nobody is called so, or they may not.
    """
    found = await people.find(ledger.pool, ledger.ledger_id, username)
    if found is None:
        raise NoApprover(approved_by=username)
    account = state_of(ACCOUNT, await read_stream(ledger, account_stream(found.person)))
    is_admin = isinstance(account, Registered) and account.is_active and account.role is Role.ADMIN
    is_concerned = named.about.kind is SubjectKind.PERSON and SubjectId(found.person) == named.about.subject
    if not is_admin or is_concerned:
        raise NoApprover(approved_by=username)
    return found.person


async def _state(ledger: Ledger, subject: SubjectId) -> SubjectState:
    return (await finding.states_now(ledger, [subject]))[subject]
