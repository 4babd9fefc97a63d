"""Random histories that could have happened: random commands, decided by the domain, refusals left out."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final
from uuid import UUID

import msgspec
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.domain.account.commands import AccountCommand
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.events import AccountEvent
from ledger.domain.authority import Role
from ledger.domain.decider import C, Decider, E, S, fold
from ledger.domain.decision.commands import DecisionCommand
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import Choice, DecisionEvent, Milestone, Priority
from ledger.domain.decision.state import NotSubmitted
from ledger.domain.errors import LedgerError
from ledger.domain.event import Event
from ledger.domain.ids import DecisionId, StreamName
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import ExpiryCause, SessionEvent
from ledger.domain.terms import THREAT_ANALYSIS_POLICY, Policy
from ledger.store.ledger import account_stream, session_stream
from tests.builders import (
    ADA,
    ANA,
    BEN,
    LEA,
    SAM,
    TWO_OF_EACH,
    authority,
    cast_vote,
    change_groups,
    change_password,
    change_role,
    claim,
    deactivate,
    enable_second_factor,
    escalate,
    expire,
    grant_lead,
    later,
    log_in,
    log_out,
    policy,
    reactivate,
    register,
    release,
    renew,
    revoke,
    revoke_lead,
    session_of,
    submit,
)
from tests.builders.workflow_commands import (
    assign,
    attach_evidence,
    cancel,
    comment,
    countersign,
    lapse_override,
    override,
    pass_milestone,
    provide_information,
    redeem,
    report_outcome,
    reprioritise,
    request_information,
    supersede,
    time_out,
    withdraw,
)

PEOPLE: Final = (ADA, ANA, BEN, LEA, SAM)
PRIORITIES: Final = tuple(Priority)
AGAINST_THE_CLOCK: Final = replace(
    policy(),
    target_seconds=600,
    deadline_seconds=3_001,
    escalates_at_half=True,
    escalates_at_breach=True,
    information_seconds=400,
    countersign_seconds=500,
    ladder=("night",),
)


class Move(msgspec.Struct, frozen=True):
    """Something somebody tries, ``wait`` seconds after the move before."""

    what: int
    which: int
    who: int
    wait: int


moves = st.integers(0, 60).flatmap(
    lambda size: st.lists(
        st.builds(
            Move, st.integers(0, 15), st.integers(0, 3), st.integers(0, len(PEOPLE) - 1), st.integers(0, 200)
        ),
        min_size=size,
        max_size=size,
    )
)


class History:
    """What came of some moves, stream by stream and in order."""

    def __init__(self, played: Sequence[Move], rules: Policy = THREAT_ANALYSIS_POLICY) -> None:
        self._rules = rules
        self.events: list[tuple[StreamName, Event]] = []
        self.decisions: dict[StreamName, list[DecisionEvent]] = {}
        self.sessions: dict[StreamName, list[SessionEvent]] = {}
        self.accounts: dict[StreamName, list[AccountEvent]] = {}
        seconds = 0
        for number, move in enumerate(played):
            seconds += move.wait
            if move.what < 9:
                self._decision(move, seconds, number)
            elif move.what < 12:
                self._session(move, seconds)
            else:
                self._account(move, seconds)

    def _decision(self, move: Move, seconds: int, number: int) -> None:
        now, by = later(seconds), PEOPLE[move.who]
        stream = StreamName(f"decision-{UUID(int=move.which)}")
        state = fold(DECISION, self.decisions.get(stream, []))
        if isinstance(state, NotSubmitted):
            decision_id = DecisionId(f"analysis-{move.which}")
            rules = TWO_OF_EACH if move.which == 3 else self._rules
            asked = submit(
                by, decision_id=decision_id, priority=PRIORITIES[number % 4], policy=rules, now=now
            )
            self._try(DECISION, asked, stream, self.decisions)
            return
        token = state.case.fencing_token
        holder = state.case.holders[-1] if state.case.holders else by
        command = (
            claim(by, token=token + 1, now=now),
            claim(by, token=token + 1, reason="mine", now=now),
            renew(holder, token=token, now=now),
            release(holder, token=token, now=now),
            release(None, token=token, now=now),
            escalate(by, notes="hm", now=now),
            self._rarely(move, now),
            cast_vote(by, notes="yes, and, why not", now=now),
            cast_vote(by, choice=Choice.REJECT, actions=(), now=now),
        )[move.what]
        self._try(DECISION, command, stream, self.decisions)

    def _rarely(self, move: Move, now: datetime) -> DecisionCommand:
        by = PEOPLE[move.who]
        wishes = (
            comment(by, now=now),
            reprioritise(by, priority=PRIORITIES[move.wait % 4], now=now),
            assign(by, now=now),
            attach_evidence(by, now=now),
            request_information(by, token=1, now=now),
            provide_information(by, now=now),
            withdraw(by, now=now),
            cancel(by, now=now),
            supersede(by, submitted_by=by, now=now),
            override(authority(by, stepped_up_at=now), now=now),
            countersign(authority(by, stepped_up_at=now), now=now),
            redeem(by, now=now),
            report_outcome(by, now=now),
            pass_milestone(now=now),
            pass_milestone(Milestone.BREACH, now=now),
            time_out(now=now),
            lapse_override(now=now),
        )
        return wishes[move.wait % len(wishes)]

    def _session(self, move: Move, seconds: int) -> None:
        now, by = later(seconds), PEOPLE[move.who]
        session = session_of(by, move.which)
        stream = session_stream(session)
        if not self.sessions.get(stream):
            entry = log_in(by, session=session, epoch=move.which, now=now)
            self._try(SESSION, entry, stream, self.sessions)
            return
        command = (log_out(now=now), expire(ExpiryCause.IDLE, now=now), revoke(now=now))[move.what - 9]
        self._try(SESSION, command, stream, self.sessions)

    def _account(self, move: Move, seconds: int) -> None:
        now, person = later(seconds), PEOPLE[move.who]
        stream = account_stream(person)
        if not self.accounts.get(stream):
            self._try(ACCOUNT, register(person, now=now), stream, self.accounts)
            return
        command = (
            self._placed(move, now),
            change_password(by=person, now=now),
            enable_second_factor(by=person, now=now),
            (deactivate if move.which % 2 else reactivate)(now=now),
        )[move.what - 12]
        self._try(ACCOUNT, command, stream, self.accounts)

    def _placed(self, move: Move, now: datetime) -> AccountCommand:
        wishes = (
            change_role(tuple(Role)[move.which], now=now),
            change_groups(*("malware", "tier-2")[: move.which], now=now),
            grant_lead(now=now),
            revoke_lead(now=now),
        )
        return wishes[move.wait % len(wishes)]

    def _try(
        self,
        decider: Decider[C, S, E],
        command: C,
        stream: StreamName,
        streams: dict[StreamName, list[E]],
    ) -> None:
        so_far = streams.setdefault(stream, [])
        try:
            events = decider.decide(command, fold(decider, so_far))
        except LedgerError:
            return
        so_far += events
        self.events += [(stream, event) for event in events]


histories: st.SearchStrategy[History] = moves.map(History)
timed_histories: st.SearchStrategy[History] = moves.map(lambda played: History(played, AGAINST_THE_CLOCK))


def cuts_of(data: st.DataObject, length: int) -> list[slice]:
    """Cut a log of this length into batches anywhere."""
    at = sorted(data.draw(st.sets(st.integers(0, length), max_size=8)) | {0, length})
    return [slice(start, end) for start, end in pairwise(at)]
