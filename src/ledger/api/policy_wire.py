"""The bodies of the calls about policies, in and out."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, assert_never

import msgspec
from msgspec.structs import replace

from ledger.api.kind_wire import Name, Why
from ledger.domain.event import Utc
from ledger.domain.ids import PersonId
from ledger.domain.policy.events import (
    PolicyDrafted,
    PolicyEvent,
    PolicyPublished,
    PolicyRetired,
    PolicyWithdrawn,
)
from ledger.domain.policy.state import ByDefault, terms_of
from ledger.domain.terms import (
    Action,
    DefaultOutcome,
    GroupQuorum,
    Policy,
    ReasonMode,
    Risk,
    default_policy,
)
from ledger.identity.people import ERASED
from ledger.projections.policy_rows import PolicyRow

Number = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Text = Annotated[str, msgspec.Meta(max_length=1_000)]
Texts = Annotated[tuple[Text, ...], msgspec.Meta(max_length=1_000)]


class Quorum(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many of the approvals come from members of a group."""

    group: Text
    approvals: Number


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Under which terms decisions are taken; what is left out errs on the safe side."""

    allowed_actions: Annotated[tuple[Action, ...], msgspec.Meta(max_length=100)]
    approvals_needed: Number = 1
    rejections_needed: Number = 1
    voters: Number | None = None
    groups: Annotated[tuple[Quorum, ...], msgspec.Meta(max_length=1_000)] = ()
    reviewers: Texts = ()
    four_eyes: bool = True
    reason: ReasonMode = ReasonMode.ON_REJECT
    step_up_seconds: Number | None = None
    editable_parameters: Texts = ()
    escalation_levels: Number = 3
    ladder: Texts = ()
    lease_seconds: Number = 300
    target_seconds: Number | None = None
    escalates_at_half: bool = False
    escalates_at_breach: bool = False
    escalates_on_conflict: bool = False
    deadline_seconds: Number | None = None
    default_outcome: DefaultOutcome = DefaultOutcome.DENY
    risk: Risk = Risk.HIGH
    information_pauses_clock: bool = True
    information_seconds: Number = 604_800
    redeem_seconds: Number | None = None
    countersign_seconds: Number = 86_400
    personal: Texts = ()
    subject: Text | None = None

    def policy(self, kind: str, version: int) -> Policy:
        """Give the terms as the domain has them."""
        given = {field: getattr(self, field) for field in self.__struct_fields__ if field != "groups"}
        groups = tuple(GroupQuorum(group=one.group, approvals=one.approvals) for one in self.groups)
        return Policy(name=kind, version=version, groups=groups, **given)


class NewDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other terms for a kind, and why."""

    kind: Name
    terms: Terms
    reason: Why = ""


class Publication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is done.

    ``ahead_of_kind``: the policy may point to places that the kind's schema does not have yet.
    """

    reason: Why = ""
    ahead_of_kind: bool = False


class PolicyChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a version of a kind's policy."""

    message: str
    kind: str
    policy_version: int


class PolicyShown(msgspec.Struct, frozen=True, kw_only=True):
    """The policy of a kind in a list; ``is_default``: none is published. ``drafts`` are versions."""

    kind: str
    policy_version: int
    is_default: bool
    terms: Policy
    published_by: str | None
    published_at: Utc | None
    drafts: tuple[int, ...]


class Standing(StrEnum):
    """What became of a version of a policy."""

    DEFAULT = "default"
    DRAFT = "draft"
    IN_FORCE = "in_force"
    SUPERSEDED = "superseded"
    RETIRED = "retired"
    WITHDRAWN = "withdrawn"


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it, when and why."""

    at: Utc
    by: str
    reason: str


class PolicyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version; ``ended`` is its withdrawal or retirement, or the publication that took its place."""

    policy_version: int
    standing: Standing
    terms: Policy
    drafted: Act | None = None
    published: Act | None = None
    ended: Act | None = None


class PolicyTold(msgspec.Struct, frozen=True, kw_only=True):
    """The policies of a kind with all their versions; the first is the default, which nobody drafted."""

    kind: str
    policy_version: int
    is_default: bool
    versions: tuple[PolicyVersion, ...]


def told(kind: str, history: Sequence[PolicyEvent], names: Mapping[PersonId, str]) -> PolicyTold:
    """Tell of the policies of a kind by all that happened to them."""
    default = default_policy(kind)
    first = PolicyVersion(policy_version=default.version, standing=Standing.DEFAULT, terms=default)
    versions, in_force = {default.version: first}, default.version
    for event in history:
        act = Act(at=event.at, by=names.get(event.by, ERASED), reason=event.reason)
        match event:
            case PolicyDrafted():
                versions[event.version] = _drafted(event, act)
            case PolicyPublished():
                if in_force != default.version:
                    versions[in_force] = _ended(versions[in_force], Standing.SUPERSEDED, act)
                versions[event.version] = replace(
                    versions[event.version], standing=Standing.IN_FORCE, published=act
                )
                in_force = event.version
            case PolicyWithdrawn():
                versions[event.version] = _ended(versions[event.version], Standing.WITHDRAWN, act)
            case PolicyRetired():
                versions[event.version] = _ended(versions[event.version], Standing.RETIRED, act)
                in_force = default.version
            case _:
                assert_never(event)
    return PolicyTold(
        kind=kind,
        policy_version=in_force,
        is_default=in_force == default.version,
        versions=tuple(versions.values()),
    )


def shown(kind: str, row: PolicyRow | None, names: Mapping[PersonId, str]) -> PolicyShown:
    """Show the policy of a kind in a list; ``None``: nothing was ever drafted for it."""
    state = ByDefault() if row is None else row.state
    publication = None if row is None else row.publication
    terms = terms_of(state, kind)
    return PolicyShown(
        kind=kind,
        policy_version=terms.version,
        is_default=publication is None,
        terms=terms,
        published_by=None if publication is None else names.get(publication.by, ERASED),
        published_at=None if publication is None else publication.at,
        drafts=tuple(draft.terms.version for draft in state.drafts),
    )


def _drafted(event: PolicyDrafted, act: Act) -> PolicyVersion:
    return PolicyVersion(
        policy_version=event.version, standing=Standing.DRAFT, terms=event.terms, drafted=act
    )


def _ended(version: PolicyVersion, standing: Standing, act: Act) -> PolicyVersion:
    return replace(version, standing=standing, ended=act)
