"""Where somebody stands among those who decide: in which groups, and whether they lead."""

from typing import Final, TypeAlias, assert_never

from ledger.domain.account.commands import ChangeGroups, GrantLead, RevokeLead
from ledger.domain.account.events import GroupsChanged, LeadGranted, LeadRevoked
from ledger.domain.account.state import DECIDERS, Registered
from ledger.domain.authority import GROUP_NAME, Role
from ledger.domain.errors import Invalid, ReasonMissing, RuleViolation
from ledger.domain.ids import PersonId

MOST_GROUPS: Final = 50
"""Groups of one person, at most."""
TOLD: Final = 60
"""Characters of a refused name that are told: enough to recognise it."""

Placing: TypeAlias = ChangeGroups | GrantLead | RevokeLead
Placed: TypeAlias = GroupsChanged | LeadGranted | LeadRevoked


class MalformedGroupName(Invalid):
    """A group's name is 1 to 50 small letters, digits, hyphens and underscores, a letter first.

    Context: ``group``: the name, or how it begins.
    """

    code = "malformed-group-name"


class TooManyGroups(Invalid):
    """Nobody is in that many groups.

    Context: ``groups`` that were asked for, ``most``.
    """

    code = "too-many-groups"


class NotADecider(RuleViolation):
    """Only analysts and administrators are in groups.

    Context: ``role``.
    """

    code = "not-a-decider"
    advice = "Groups say whose votes count; give the account a role that votes first."


class NotAnAnalyst(RuleViolation):
    """Only active analysts lead.

    Context: ``role``.
    """

    code = "not-an-analyst"
    advice = "Let the account in with the role 'analyst' first."


def place(command: Placing, account: Registered, by: PersonId | None) -> tuple[Placed, ...]:
    """Say what an administrator or the operator (``None``) causes; no events: it is so already.

    Raises:
        ReasonMissing: it does not say why.
        MalformedGroupName: a group cannot be called that.
        TooManyGroups: nobody is in that many.
        NotADecider: the account's role is for nobody who votes.
        NotAnAnalyst: nobody else leads.
    """
    if not command.reason.strip():
        raise ReasonMissing
    match command:
        case ChangeGroups():
            return _change_groups(command, account, by)
        case GrantLead():
            return _grant_lead(command, account, by)
        case RevokeLead():
            if not account.is_lead:
                return ()
            return (LeadRevoked(at=command.now, by=by, reason=command.reason),)
        case _:
            assert_never(command)


def _change_groups(
    command: ChangeGroups, account: Registered, by: PersonId | None
) -> tuple[GroupsChanged, ...]:
    groups = tuple(sorted(set(command.groups)))
    if len(groups) > MOST_GROUPS:
        raise TooManyGroups(groups=len(groups), most=MOST_GROUPS)
    for name in groups:
        if not GROUP_NAME.fullmatch(name):
            raise MalformedGroupName(group=name[:TOLD])
    if groups and account.role not in DECIDERS:
        raise NotADecider(role=account.role.value)
    if groups == account.groups:
        return ()
    return (GroupsChanged(at=command.now, groups=groups, by=by, reason=command.reason),)


def _grant_lead(command: GrantLead, account: Registered, by: PersonId | None) -> tuple[LeadGranted, ...]:
    if not account.is_active or account.role is not Role.ANALYST:
        raise NotAnAnalyst(role=account.role.value)
    if account.is_lead:
        return ()
    return (LeadGranted(at=command.now, by=by, reason=command.reason),)
