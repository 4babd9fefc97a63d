"""Any sequence of logins, endings and changes of the account: the dead stay dead, an administrator stays."""

from datetime import timedelta

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import AccountState, Registered, keeps
from ledger.domain.authority import Authority, Role
from ledger.domain.decider import fold
from ledger.domain.errors import LedgerError
from ledger.domain.ids import PersonId, SessionId
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import ExpiryCause
from ledger.domain.session.state import Active, SessionState, is_live
from tests.builders import (
    ABSOLUTE_SECONDS,
    ADA,
    ANA,
    BEN,
    IDLE_SECONDS,
    NOW,
    authority,
    change_password,
    change_role,
    deactivate,
    enable_second_factor,
    expire,
    log_in,
    log_out,
    reactivate,
    register,
    revoke,
    session_of,
)
from tests.domain.given import survives_storage
from tests.support.examples import examples

PEOPLE = st.sampled_from([ADA, ANA, BEN])
ASKING = st.none() | PEOPLE
ROLES = st.sampled_from([Role.ADMIN, Role.ANALYST, Role.VIEWER])
ENDINGS = st.sampled_from(
    [
        log_out,
        revoke,
        expire,
        lambda now: expire(ExpiryCause.ABSOLUTE, now=now),
        lambda now: expire(last_seen=now, now=now),
    ]
)


class Logins(RuleBasedStateMachine):
    """Two administrators' worth of people, their sessions, and whatever they do to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.accounts: dict[PersonId, list] = {}
        self.sessions: dict[SessionId, list] = {}
        self.dead: set[SessionId] = set()

    def account(self, person: PersonId) -> AccountState:
        return fold(ACCOUNT, self.accounts[person])

    def session(self, session: SessionId) -> SessionState:
        return fold(SESSION, self.sessions.get(session, []))

    def lives(self, session: SessionId) -> bool:
        """As the command handler asks: the session by itself, and its account."""
        state = self.session(session)
        if not (isinstance(state, Active) and is_live(state, self.now)):
            return False
        account = self.account(state.person)
        return account.is_active and keeps(account, session, state.epoch)

    def acting(self, person: PersonId | None) -> Authority | None:
        """Through the person's latest session, living or not; the operator is nobody."""
        if person is None:
            return None
        account = self.account(person)
        mine = [session for session, events in self.sessions.items() if events[0].person == person]
        session = mine[-1] if mine else session_of(person)
        return authority(
            person,
            role=account.role,
            session=session,
            is_active=account.is_active,
            session_is_live=self.lives(session),
        )

    def ask_account(self, person: PersonId, command) -> bool:
        try:
            caused = ACCOUNT.decide(command, self.account(person))
        except LedgerError:
            return False
        assert all(survives_storage(event) for event in caused)
        self.accounts[person].extend(caused)
        return True

    def another_admin(self, person: PersonId) -> bool:
        others = [self.account(other) for other in self.accounts if other != person]
        return any(other.is_active and other.role is Role.ADMIN for other in others)

    @initialize()
    def registering(self) -> None:
        for person in (ADA, ANA, BEN):
            self.accounts[person] = []
            assert self.ask_account(person, register(person, by=None))

    @rule(seconds=st.sampled_from([1, IDLE_SECONDS, ABSOLUTE_SECONDS - 1, ABSOLUTE_SECONDS]))
    def waiting(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(person=PEOPLE)
    def logging_in(self, person: PersonId) -> None:
        account = self.account(person)
        session = session_of(person, login=len(self.sessions))
        asking = log_in(
            by=person, session=session, epoch=account.epoch, is_active=account.is_active, now=self.now
        )
        try:
            self.sessions[session] = list(SESSION.decide(asking, self.session(session)))
        except LedgerError:
            assert not account.is_active
        else:
            assert self.lives(session)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), ending=ENDINGS)
    def ending(self, data: st.DataObject, ending) -> None:
        session = data.draw(st.sampled_from(list(self.sessions)))
        caused = SESSION.decide(ending(now=self.now), self.session(session))
        assert all(survives_storage(event) for event in caused)
        self.sessions[session].extend(caused)

    @rule(person=PEOPLE, by=ASKING, role=ROLES)
    def changing_a_role(self, person, by, role) -> None:
        another = self.another_admin(person)
        self.ask_account(person, change_role(role, by=self.acting(by), another_admin=another))

    @rule(person=PEOPLE, by=ASKING)
    def deactivating(self, person, by) -> None:
        another = self.another_admin(person)
        if self.ask_account(person, deactivate(by=self.acting(by), another_admin=another)):
            assert not any(self.lives(session) for session in self.sessions_of(person))

    @rule(person=PEOPLE, by=ASKING)
    def reactivating(self, person, by) -> None:
        before = {session for session in self.sessions if self.lives(session)}
        self.ask_account(person, reactivate(by=self.acting(by)))
        assert {session for session in self.sessions if self.lives(session)} == before

    @rule(person=PEOPLE, by=ASKING)
    def changing_a_password(self, person, by) -> None:
        if self.ask_account(person, change_password(by=self.acting(by))):
            assert not any(self.lives(session) for session in self.sessions_of(person))

    @rule(person=PEOPLE, by=PEOPLE)
    def enabling_the_second_factor(self, person, by) -> None:
        asking = enable_second_factor(by=self.acting(by))
        changed = len(self.accounts[person])
        if self.ask_account(person, asking) and len(self.accounts[person]) > changed:
            assert person == by
            assert {s for s in self.sessions_of(person) if self.lives(s)} == {asking.by.session}

    def sessions_of(self, person: PersonId) -> list[SessionId]:
        return [session for session, events in self.sessions.items() if events[0].person == person]

    @invariant()
    def the_dead_stay_dead(self) -> None:
        living = {session for session in self.sessions if self.lives(session)}
        assert not living & self.dead
        self.dead |= set(self.sessions) - living

    @invariant()
    def an_active_administrator_stays(self) -> None:
        accounts = [self.account(person) for person in self.accounts]
        assert not accounts or any(one.is_active and one.role is Role.ADMIN for one in accounts)

    @invariant()
    def a_session_ends_at_most_once(self) -> None:
        assert all(len(events) in {1, 2} for events in self.sessions.values())

    @invariant()
    def epochs_count_what_ends_sessions(self) -> None:
        for events in self.accounts.values():
            account = fold(ACCOUNT, events)
            ends = [event for event in events[1:] if type(event).__name__ != "AccountReactivated"]
            assert isinstance(account, Registered)
            assert account.epoch == len(ends)

    @invariant()
    def states_read_back_from_storage(self) -> None:
        for person in self.accounts:
            state = self.account(person)
            assert msgspec.json.decode(msgspec.json.encode(state), type=AccountState) == state
        for session in self.sessions:
            opened = self.session(session)
            assert msgspec.json.decode(msgspec.json.encode(opened), type=SessionState) == opened


Logins.TestCase.settings = settings(
    max_examples=examples(100),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLogins = pytest.mark.thorough(Logins.TestCase)
