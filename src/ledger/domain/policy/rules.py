"""What terms must be like to be published, each rule with a refusal of its own."""

from collections.abc import Iterable
from itertools import combinations, product
from typing import Final

from ledger.domain.authority import GROUP_NAME
from ledger.domain.errors import Invalid
from ledger.domain.json_pointer import PointsNowhere, is_within, tokens
from ledger.domain.terms import (
    BUILT_IN_KIND,
    BUILT_IN_LISTS,
    BUILT_IN_TEXTS,
    DefaultOutcome,
    PersonalText,
    Policy,
    Risk,
)

YEAR: Final = 365 * 24 * 3600
MOST_VOTERS: Final = 100
MOST_LEVELS: Final = 10
MOST_NAMED: Final = 100
"""Groups, reviewers and pointers, of each at most."""
LONGEST_POINTER: Final = 500

RANGES: Final = {
    "approvals_needed": (1, MOST_VOTERS),
    "rejections_needed": (1, MOST_VOTERS),
    "voters": (1, MOST_VOTERS),
    "escalation_levels": (0, MOST_LEVELS),
    "lease_seconds": (30, 86_400),
    "step_up_seconds": (30, 3600),
    "target_seconds": (1, YEAR),
    "deadline_seconds": (1, YEAR),
    "information_seconds": (60, YEAR),
    "redeem_seconds": (1, YEAR),
    "countersign_seconds": (60, YEAR),
}
"""The least and the most; what is ``None`` is not looked at."""


class InconsistentPolicy(Invalid):
    """The terms do not fit together."""

    code = "inconsistent-policy"


class OutOfRange(InconsistentPolicy):
    """A number of the policy is out of its range.

    Context: the ``field``, its ``value``, the ``least`` and the ``most``.
    """

    code = "policy-out-of-range"


class TooManyNamed(InconsistentPolicy):
    """A list of the policy names too much, or the same twice.

    Context: the ``field`` and the ``most`` it may name.
    """

    code = "policy-names-too-many"


class BadGroupName(InconsistentPolicy):
    """A group's name is 1 to 50 small letters, digits, hyphens and underscores, a letter first."""

    code = "bad-group-name"


class NothingAllowed(InconsistentPolicy):
    """The policy allows no action at all, so that nothing could ever be approved."""

    code = "policy-allows-nothing"


class TooFewVoters(InconsistentPolicy):
    """The policy needs more approvals or rejections than it has voters."""

    code = "policy-too-few-voters"


class VotersCanTie(InconsistentPolicy):
    """The voters can split so that neither side ever has enough, and nothing ends that."""

    code = "policy-can-tie"
    advice = "Ask for fewer approvals or rejections, set a deadline, or give it a level to escalate to."


class GroupsNeedTooMany(InconsistentPolicy):
    """The groups need more approvals than the policy does."""

    code = "policy-groups-need-too-many"


class LadderTooLong(InconsistentPolicy):
    """The ladder has more steps than the policy has levels of escalation."""

    code = "policy-ladder-too-long"


class LadderIncomplete(InconsistentPolicy):
    """A policy that names its reviewers says of every level who works there.

    Context: how many ``steps`` the ladder has, and how many levels, ``escalation_levels``.
    """

    code = "policy-ladder-incomplete"
    advice = "Name a group for each level, or an empty text for every reviewer; or allow fewer levels."


class NowhereToEscalate(InconsistentPolicy):
    """The policy escalates by itself, but has no level to escalate to."""

    code = "policy-nowhere-to-escalate"


class NothingToMeasure(InconsistentPolicy):
    """The policy escalates by a clock that it does not have.

    Half time is of the target or, without one, of the deadline; a breach is of the target alone.
    """

    code = "policy-nothing-to-measure"


class TargetAfterDeadline(InconsistentPolicy):
    """The target lies at the deadline or after it."""

    code = "policy-target-after-deadline"


class DefaultWithoutDeadline(InconsistentPolicy):
    """The policy says what holds at the deadline, but has none."""

    code = "policy-default-without-deadline"


class ApprovedByNobody(InconsistentPolicy):
    """Only what has a low risk may be approved by nobody."""

    code = "policy-approves-by-default"
    advice = "Let the deadline deny, or say that the risk is low."


class BadPointer(InconsistentPolicy):
    """A pointer of the policy is no JSON pointer (RFC 6901) to something inside the payload."""

    code = "bad-pointer"


class UnknownPersonalText(InconsistentPolicy):
    """The policy marks a text as personal that there is not.

    Context: its ``name``, and those that are ``known``.
    """

    code = "policy-unknown-personal-text"
    advice = "Name a text, or write a JSON pointer into the payload, which begins with a slash."


class PersonalOverlaps(InconsistentPolicy):
    """The policy marks a part of the payload as personal, and something in it once more.

    Context: the ``outer`` and the ``inner`` pointer.
    """

    code = "policy-personal-overlaps"
    advice = "Mark the whole, or its parts."


class PersonalIsEditable(InconsistentPolicy):
    """What is personal, or says whom it is about, cannot be an editable parameter: voters could not agree on it.

    Context: the ``personal`` and the ``editable`` pointer.
    """

    code = "policy-personal-is-editable"


class CannotBeSealed(InconsistentPolicy):
    """This part of the built-in kind is read by the service itself, or is no text: it cannot be sealed.

    Context: the ``pointer``.
    """

    code = "policy-cannot-be-sealed"
    advice = "Mark a text of the item, or a list of texts as a whole; a subject is a text."


class SubjectOfNothing(InconsistentPolicy):
    """The policy says whom personal data is about, but marks nothing as personal."""

    code = "policy-subject-of-nothing"


def must_be_consistent(terms: Policy) -> None:
    """Refuse terms that contradict themselves, or that nobody could meet.

    Raises:
        InconsistentPolicy: which rule they break; the first one that they do.
    """
    _must_be_in_range(terms)
    _must_name_well(terms)
    _must_seal_what_can_be(terms)
    _must_be_reachable(terms)
    _must_escalate_somewhere(terms)
    _must_end_well(terms)


def _must_be_in_range(terms: Policy) -> None:
    named = [(field, getattr(terms, field)) for field in RANGES]
    named += [("groups.approvals", group.approvals) for group in terms.groups]
    for field, value in named:
        least, most = RANGES.get(field, (1, MOST_VOTERS))
        if value is not None and not least <= value <= most:
            raise OutOfRange(field=field, value=value, least=least, most=most)


def _must_name_well(terms: Policy) -> None:
    groups = tuple(group.group for group in terms.groups)
    for field, names in (
        ("allowed_actions", terms.allowed_actions),
        ("groups", groups),
        ("reviewers", terms.reviewers),
        ("editable_parameters", terms.editable_parameters),
        ("personal", terms.personal),
    ):
        if len(names) > MOST_NAMED or len(set(names)) < len(names):
            raise TooManyNamed(field=field, most=MOST_NAMED)
    steps = tuple(step for step in terms.ladder if step)  # an empty step is every reviewer
    _must_be_groups((*groups, *terms.reviewers, *steps))
    for pointer in terms.editable_parameters:
        _must_be_pointer(pointer)


def _must_be_groups(names: Iterable[str]) -> None:
    for name in names:
        if not GROUP_NAME.fullmatch(name):
            raise BadGroupName(group=name[:MOST_NAMED])


def _must_be_pointer(pointer: str) -> None:
    """Ask for RFC 6901, section 3; the empty pointer would be the whole payload."""
    try:
        is_good = bool(tokens(pointer)) and len(pointer) <= LONGEST_POINTER
    except PointsNowhere:
        is_good = False
    if not is_good:
        raise BadPointer(pointer=pointer[:LONGEST_POINTER])


def _must_seal_what_can_be(terms: Policy) -> None:
    pointers = tuple(mark for mark in terms.personal if mark.startswith("/"))
    for mark in terms.personal:
        if mark not in pointers and mark not in tuple(PersonalText):
            raise UnknownPersonalText(name=mark[:MOST_NAMED], known=", ".join(PersonalText))
    subject = () if terms.subject is None else (terms.subject,)
    if subject and not terms.personal:
        raise SubjectOfNothing(subject=terms.subject)
    for pointer in (*pointers, *subject):
        _must_be_pointer(pointer)
    _must_not_overlap((*pointers, *subject), pointers, terms.editable_parameters)
    if terms.name == BUILT_IN_KIND:
        _must_be_texts_of_the_built_in_kind(pointers, subject)


def _must_not_overlap(named: tuple[str, ...], sealed: tuple[str, ...], editable: tuple[str, ...]) -> None:
    for one, other in combinations(sorted(sealed, key=len), 2):
        if is_within(other, one):
            raise PersonalOverlaps(outer=one, inner=other)
    for personal, parameter in product(named, editable):
        if is_within(personal, parameter) or is_within(parameter, personal):
            raise PersonalIsEditable(personal=personal, editable=parameter)


def _must_be_texts_of_the_built_in_kind(pointers: tuple[str, ...], subject: tuple[str, ...]) -> None:
    for pointer in pointers:
        if pointer not in BUILT_IN_TEXTS | BUILT_IN_LISTS:
            raise CannotBeSealed(pointer=pointer)
    for pointer in subject:
        if pointer not in BUILT_IN_TEXTS:
            raise CannotBeSealed(pointer=pointer)


def _must_be_reachable(terms: Policy) -> None:
    if not terms.allowed_actions:
        raise NothingAllowed
    approvals, rejections, voters = terms.approvals_needed, terms.rejections_needed, terms.voters
    of_groups = sum(group.approvals for group in terms.groups)
    if of_groups > approvals:
        raise GroupsNeedTooMany(groups=of_groups, approvals_needed=approvals)
    if voters is None:
        return
    if max(approvals, rejections) > voters:
        raise TooFewVoters(voters=voters, approvals_needed=approvals, rejections_needed=rejections)
    ends_otherwise = terms.deadline_seconds is not None or terms.escalation_levels > 0
    if approvals + rejections > voters + 1 and not ends_otherwise:
        raise VotersCanTie(voters=voters, approvals_needed=approvals, rejections_needed=rejections)


def _must_escalate_somewhere(terms: Policy) -> None:
    levels = terms.escalation_levels
    if len(terms.ladder) > levels:
        raise LadderTooLong(steps=len(terms.ladder), escalation_levels=levels)
    if terms.reviewers and len(terms.ladder) < levels:  # or moving it up would open it to everybody, unsaid
        raise LadderIncomplete(steps=len(terms.ladder), escalation_levels=levels)
    if any((terms.escalates_at_half, terms.escalates_at_breach, terms.escalates_on_conflict)) and not levels:
        raise NowhereToEscalate
    target, deadline = terms.target_seconds, terms.deadline_seconds
    if terms.escalates_at_breach and target is None:
        raise NothingToMeasure(field="escalates_at_breach")
    if terms.escalates_at_half and target is None and deadline is None:
        raise NothingToMeasure(field="escalates_at_half")


def _must_end_well(terms: Policy) -> None:
    target, deadline = terms.target_seconds, terms.deadline_seconds
    if target is not None and deadline is not None and target >= deadline:
        raise TargetAfterDeadline(target_seconds=target, deadline_seconds=deadline)
    if terms.default_outcome is not DefaultOutcome.APPROVE:
        return
    if terms.risk is not Risk.LOW:
        raise ApprovedByNobody(risk=terms.risk.value)
    if deadline is None:
        raise DefaultWithoutDeadline
