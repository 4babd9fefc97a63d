"""The tables of legal moves in the docstrings, walked against ``decide``."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from types import ModuleType, UnionType
from typing import get_args

import msgspec
import pytest

from ledger.domain.access import state as access_state
from ledger.domain.access.commands import AccessCommand
from ledger.domain.access.decide import ACCESS
from ledger.domain.access.state import AccessState
from ledger.domain.account import state as account_state
from ledger.domain.account.commands import AccountCommand
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import AccountState
from ledger.domain.authority import Role
from ledger.domain.decider import Decider, fold
from ledger.domain.decision import moves as decision_moves
from ledger.domain.decision.commands import DecisionCommand
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.state import DecisionState
from ledger.domain.errors import LedgerError
from ledger.domain.export import state as export_state
from ledger.domain.export.commands import ExportCommand
from ledger.domain.export.decide import EXPORT
from ledger.domain.export.state import ExportState
from ledger.domain.kind import state as kind_state
from ledger.domain.kind.commands import KindCommand
from ledger.domain.kind.decide import KIND
from ledger.domain.kind.state import KindState
from ledger.domain.login import state as login_state
from ledger.domain.login.commands import LoginCommand
from ledger.domain.login.decide import LOGIN
from ledger.domain.login.state import LoginState
from ledger.domain.notary import state as notary_state
from ledger.domain.notary.commands import NotaryCommand
from ledger.domain.notary.decide import NOTARY
from ledger.domain.notary.state import NotaryState
from ledger.domain.operations import state as operations_state
from ledger.domain.operations.commands import OperationsCommand
from ledger.domain.operations.decide import OPERATIONS
from ledger.domain.operations.state import OperationsState
from ledger.domain.policy import state as policy_state
from ledger.domain.policy.commands import PolicyCommand
from ledger.domain.policy.decide import POLICY
from ledger.domain.policy.state import PolicyState
from ledger.domain.reading import state as reading_state
from ledger.domain.reading.commands import ReadingCommand
from ledger.domain.reading.decide import READING
from ledger.domain.reading.state import ReadingState
from ledger.domain.session import state as session_state
from ledger.domain.session.commands import SessionCommand
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import ExpiryCause
from ledger.domain.session.state import SessionState
from ledger.domain.subject import state as subject_state
from ledger.domain.subject.commands import SubjectCommand
from ledger.domain.subject.decide import SUBJECT
from ledger.domain.subject.state import SubjectState
from ledger.domain.webhook import state as webhook_state
from ledger.domain.webhook.commands import WebhookCommand
from ledger.domain.webhook.decide import WEBHOOK
from ledger.domain.webhook.state import WebhookState
from tests.builders import (
    ADA,
    ANA,
    ENGINE,
    authority,
    break_taken,
    change_groups,
    change_password,
    change_role,
    come_back,
    deactivate,
    deactivated,
    demand,
    demanded,
    disable_second_factor,
    dismiss,
    enable_second_factor,
    ended,
    expire,
    expired,
    exports,
    grant_lead,
    groups_changed,
    issue_key,
    key_issued,
    kinds,
    later,
    lead_granted,
    lock_out,
    locked_out,
    log_in,
    log_out,
    notary,
    opened,
    policies,
    reactivate,
    readings,
    register,
    registered,
    renew_backup_codes,
    revoke,
    revoke_key,
    revoke_lead,
    revoked,
    second_factor_enabled,
    step_up,
    subjects,
    sum_up,
    summed_up,
    take_break,
    waive,
    webhooks,
)
from tests.builders.operations import (
    cancel_rebuild,
    fail_rebuild,
    fix,
    pause,
    paused,
    rebuild_started,
    rebuild_switched,
    replay,
    reset,
    resume,
    retry,
    roll_back,
    skip,
    start_rebuild,
    switch_rebuild,
)
from tests.domain.decision_moves import DECISION_COMMANDS, DECISIONS
from tools.moves import moves_in, target

SESSION_COMMANDS = [
    log_in(),
    log_out(),
    revoke(),
    expire(),
    expire(now=later(10**6)),
    expire(ExpiryCause.ABSOLUTE, now=later(10**6)),
    dismiss(),
    dismiss(ADA),
    step_up(),
    step_up(factor=None),
    take_break(),
    come_back(),
]
SESSIONS = [
    [],
    [opened()],
    [opened(), break_taken()],
    [opened(), ended()],
    [opened(), expired()],
    [opened(), revoked()],
]
ACCOUNT_COMMANDS = [
    register(),
    change_role(Role.VIEWER),
    change_role(Role.ANALYST),
    deactivate(),
    reactivate(),
    change_groups("tier-2"),
    grant_lead(),
    revoke_lead(),
    change_password(),
    change_password(by=ADA),
    enable_second_factor(),
    disable_second_factor(),
    disable_second_factor(by=ADA),
    renew_backup_codes(),
    renew_backup_codes(by=authority(ANA, stepped_up_at=later(0))),
    issue_key(),
    revoke_key(),
]
ACCOUNTS = [
    [],
    [registered()],
    [registered(), deactivated()],
    [registered(), groups_changed("tier-2"), lead_granted()],
    [registered(), second_factor_enabled()],
    [registered(ENGINE)],
    [registered(ENGINE), key_issued()],
]
ACCESS_COMMANDS = [demand(), waive()]
ACCESSES = [[], [demanded()]]

LOGIN_COMMANDS = [
    *(sum_up(), sum_up(now=later(60))),
    *(lock_out(until=later(900)), lock_out(until=later(9_000), now=later(900))),
]
LOGINS = [[], [summed_up()], [locked_out(until=later(900))], [summed_up(), locked_out(until=later(900))]]
OPERATIONS_COMMANDS = [
    wish()
    for wish in (
        *(pause, resume, replay, retry, skip, fix),
        *(reset, start_rebuild, switch_rebuild, cancel_rebuild, fail_rebuild, roll_back),
    )
]
OPERATED = [
    [*before, *rebuilt]
    for before, rebuilt in product(
        [[], [paused()]], [[], [rebuild_started()], [rebuild_started(), rebuild_switched()]]
    )
]

KIND_COMMANDS = [
    *(kinds.register_kind(), kinds.revise_kind(), kinds.revise_kind(schema=kinds.SCHEMA), kinds.retire_kind())
]
KINDS = [[], [kinds.kind_registered()], [kinds.kind_registered(), kinds.kind_retired()]]
POLICY_COMMANDS = [
    wish(version) if wish is not policies.draft else wish()
    for wish, version in product(
        [policies.draft, policies.publish, policies.withdraw, policies.retire], [2, 3]
    )
]
DRAFTS = [policies.drafted(2), policies.drafted(3)]
POLICIES = [DRAFTS, [*DRAFTS, policies.published(2)]]

SUBJECT_COMMANDS = [
    *(subjects.request(), subjects.withdraw(), subjects.refuse(), subjects.approve()),
    *(subjects.place(hold=subjects.OTHER_HOLD), subjects.lift()),
    *(subjects.request(about=subjects.A_CUSTOMERS), subjects.place(about=subjects.A_CUSTOMERS)),
]
SUBJECTS = [
    [],
    [subjects.hold_placed()],
    [subjects.requested()],
    [subjects.requested(), subjects.hold_placed()],
    [subjects.requested(about=subjects.A_CUSTOMERS), subjects.erased(about=subjects.A_CUSTOMERS)],
]

WEBHOOK_COMMANDS = [
    *(webhooks.register(), webhooks.change(), webhooks.change(webhooks.TERMS), webhooks.pause()),
    *(webhooks.disable(), webhooks.resume(), webhooks.rotate(), webhooks.ping()),
    *(webhooks.replay_letters(), webhooks.remove()),
]
WEBHOOKS = [
    [],
    [webhooks.registered()],
    [webhooks.registered(), webhooks.paused()],
    [webhooks.registered(), webhooks.disabled()],
    [webhooks.registered(), webhooks.removed()],
]

EXPORT_COMMANDS = [exports.export_ledger(), exports.export_decision()]
EXPORTS = [[], [exports.ledger_exported()], [exports.decision_exported()]]
READING_COMMANDS = [readings.read_history(), readings.sum_up_reading()]
READINGS = [[], [readings.history_read()]]

NOTARY_COMMANDS = [notary.rotate_key(), notary.adopt()]
NOTARIES = [[], [notary.key_rotated()]]


def written(docstring: str | None) -> dict[tuple[str, str], set[str]]:
    """Read the table: (state, command) → what may come of it; ``refused`` stays with its reason."""
    return {move: set(cells) for move, cells in moves_in(docstring).items()}


def walked(
    decider: Decider, histories: Iterable[list], commands: Iterable[msgspec.Struct]
) -> dict[tuple[str, str], set[str]]:
    found = defaultdict(set)
    for events, command in product(histories, commands):
        state = fold(decider, events)
        found[type(state).__name__, type(command).__name__].add(outcome(decider, command, state))
    return found


def outcome(decider: Decider, command: msgspec.Struct, state: msgspec.Struct) -> str:
    try:
        events = decider.decide(command, state)
    except LedgerError as refusal:
        return f"refused {type(refusal).__name__}"
    return " ".join(type(event).__name__ for event in events)


class Aggregate(msgspec.Struct):
    decider: Decider
    module: ModuleType
    states: UnionType | type
    commands: UnionType
    histories: list[list]
    tried: list


AGGREGATES = [
    Aggregate(DECISION, decision_moves, DecisionState, DecisionCommand, DECISIONS, DECISION_COMMANDS),
    Aggregate(SESSION, session_state, SessionState, SessionCommand, SESSIONS, SESSION_COMMANDS),
    Aggregate(ACCOUNT, account_state, AccountState, AccountCommand, ACCOUNTS, ACCOUNT_COMMANDS),
    Aggregate(LOGIN, login_state, LoginState, LoginCommand, LOGINS, LOGIN_COMMANDS),
    Aggregate(
        OPERATIONS, operations_state, OperationsState, OperationsCommand, OPERATED, OPERATIONS_COMMANDS
    ),
    Aggregate(KIND, kind_state, KindState, KindCommand, KINDS, KIND_COMMANDS),
    Aggregate(POLICY, policy_state, PolicyState, PolicyCommand, POLICIES, POLICY_COMMANDS),
    Aggregate(SUBJECT, subject_state, SubjectState, SubjectCommand, SUBJECTS, SUBJECT_COMMANDS),
    Aggregate(WEBHOOK, webhook_state, WebhookState, WebhookCommand, WEBHOOKS, WEBHOOK_COMMANDS),
    Aggregate(EXPORT, export_state, ExportState, ExportCommand, EXPORTS, EXPORT_COMMANDS),
    Aggregate(READING, reading_state, ReadingState, ReadingCommand, READINGS, READING_COMMANDS),
    Aggregate(NOTARY, notary_state, NotaryState, NotaryCommand, NOTARIES, NOTARY_COMMANDS),
    Aggregate(ACCESS, access_state, AccessState, AccessCommand, ACCESSES, ACCESS_COMMANDS),
]


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda aggregate: aggregate.decider.category)
def test_the_table_has_every_state_and_command(aggregate):
    pairs = product(get_args(aggregate.states) or (aggregate.states,), get_args(aggregate.commands))

    assert set(written(aggregate.module.__doc__)) == {
        (state.__name__, wish.__name__) for state, wish in pairs
    }


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda aggregate: aggregate.decider.category)
def test_what_the_table_says_is_what_happens(aggregate):
    happened = walked(aggregate.decider, aggregate.histories, aggregate.tried)

    for move, promised in written(aggregate.module.__doc__).items():
        if any(cell.startswith("refused") for cell in promised):
            assert (move, happened[move]) == (move, promised)
        else:
            accepted = {cell for cell in happened[move] if not cell.startswith("refused")}
            assert (move, accepted) == (move, promised)


def test_the_diagram_leads_where_the_events_lead():
    for events, command in product(DECISIONS, DECISION_COMMANDS):
        before = fold(DECISION, events)
        caused = outcome(DECISION, command, before)
        if not caused.startswith("refused"):
            after = fold(DECISION, DECISION.decide(command, before), before)
            assert type(after).__name__ == target(type(before).__name__, caused)
