"""What a command does to the policies of a kind: the event it causes, or the reason why not."""

from typing import Final, assert_never, get_args

from msgspec.structs import replace

from ledger.domain.authority import ADMINS, Authority, require, require_fresh_factor_if_any
from ledger.domain.decider import Decider
from ledger.domain.errors import NotFound, ReasonMissing, Refused, RuleViolation
from ledger.domain.ids import PersonId
from ledger.domain.policy.commands import (
    DraftPolicy,
    PolicyCommand,
    PublishPolicy,
    RetirePolicy,
    WithdrawPolicy,
)
from ledger.domain.policy.events import (
    PolicyDrafted,
    PolicyEvent,
    PolicyPublished,
    PolicyRetired,
    PolicyWithdrawn,
)
from ledger.domain.policy.rules import must_be_consistent
from ledger.domain.policy.state import ByDefault, Draft, InForce, PolicyState, draft_of, evolve
from ledger.domain.terms import DEFAULT_VERSION

MOST_DRAFTS: Final = 20


class PolicyNotFound(NotFound):
    """There is no such version of the policy: it was not found."""

    code = "policy-not-found"


class PolicyRule(RuleViolation):
    """What became of the policy forbids it."""

    code = "policy-rule"


class NotADraft(PolicyRule):
    """This version of the policy is no draft any more."""

    code = "not-a-draft"
    advice = "Draft the terms again; they get another version."


class NotInForce(PolicyRule):
    """This version of the policy is not in force."""

    code = "policy-not-in-force"


class TooManyDrafts(PolicyRule):
    """A kind has at most 20 drafts at a time."""

    code = "too-many-drafts"
    advice = "Publish or withdraw some."


class PublishedByItsDrafter(Refused):
    """Nobody publishes the policy that they drafted."""

    code = "published-by-its-drafter"
    advice = "Ask another administrator to."


def decide(command: PolicyCommand, state: PolicyState) -> tuple[PolicyEvent, ...]:
    """Say what ``command`` causes.

    Raises:
        InconsistentPolicy: the terms break a rule.
        ReasonMissing: a draft is to be given up, or a policy retired, without a reason; or a reason is white space.
        RuleViolation: the state forbids it.
        NotFound: there is no such version.
        Refused: only administrators may, and nobody publishes their own draft.
        Unauthenticated: the asking person's session has ended, or their second factor must be proven again.
    """
    by = _administrator(command.by)
    if command.reason.isspace():
        raise ReasonMissing
    match command:
        case DraftPolicy():
            return _draft(command, state, by)
        case PublishPolicy():
            return _publish(command, state, by)
        case WithdrawPolicy():
            return _withdraw(command, state, by)
        case RetirePolicy():
            return _retire(command, state, by)
        case _:
            assert_never(command)


def _draft(command: DraftPolicy, state: PolicyState, by: PersonId) -> tuple[PolicyEvent, ...]:
    version = state.last_version + 1
    terms = replace(command.terms, name=command.kind, version=version)
    must_be_consistent(terms)
    if len(state.drafts) >= MOST_DRAFTS:
        raise TooManyDrafts(kind=command.kind)
    drafted = PolicyDrafted(
        at=command.now,
        kind=command.kind,
        version=version,
        terms=terms,
        by=by,
        reason=command.reason,
    )
    return (drafted,)


def _publish(command: PublishPolicy, state: PolicyState, by: PersonId) -> tuple[PolicyEvent, ...]:
    draft = _open_draft(command, state)
    if draft.by == by:
        raise PublishedByItsDrafter(kind=command.kind, version=command.version)
    require_fresh_factor_if_any(command.by, command.now)
    must_be_consistent(draft.terms)  # the rules may have become stricter since it was drafted
    published = PolicyPublished(
        at=command.now, kind=command.kind, version=command.version, by=by, reason=command.reason
    )
    return (published,)


def _withdraw(command: WithdrawPolicy, state: PolicyState, by: PersonId) -> tuple[PolicyEvent, ...]:
    _open_draft(command, state)
    _must_say_why(command)
    withdrawn = PolicyWithdrawn(
        at=command.now, kind=command.kind, version=command.version, by=by, reason=command.reason
    )
    return (withdrawn,)


def _retire(command: RetirePolicy, state: PolicyState, by: PersonId) -> tuple[PolicyEvent, ...]:
    _must_be_known(command, state)
    if not (isinstance(state, InForce) and state.terms.version == command.version):
        raise NotInForce(kind=command.kind, version=command.version)
    _must_say_why(command)
    require_fresh_factor_if_any(command.by, command.now)
    retired = PolicyRetired(
        at=command.now, kind=command.kind, version=command.version, by=by, reason=command.reason
    )
    return (retired,)


def _open_draft(command: PublishPolicy | WithdrawPolicy, state: PolicyState) -> Draft:
    _must_be_known(command, state)
    draft = draft_of(state, command.version)
    if draft is None:
        raise NotADraft(kind=command.kind, version=command.version)
    return draft


def _must_be_known(command: PublishPolicy | WithdrawPolicy | RetirePolicy, state: PolicyState) -> None:
    if not DEFAULT_VERSION < command.version <= state.last_version:
        raise PolicyNotFound(kind=command.kind, version=command.version)


def _must_say_why(command: WithdrawPolicy | RetirePolicy) -> None:
    if not command.reason:  # white space was refused already
        raise ReasonMissing


def _administrator(by: Authority) -> PersonId:
    require(by, ADMINS)
    return by.person


POLICY: Final = Decider[PolicyCommand, PolicyState, PolicyEvent](
    category="policy",
    event_types=get_args(PolicyEvent),
    state_type=PolicyState,
    initial=ByDefault(),
    decide=decide,
    evolve=evolve,
    version=2,
)
"""The Policy aggregate, as a value."""
