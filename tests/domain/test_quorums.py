"""Votes that are counted together: how many, whose, and for what exactly."""

from itertools import permutations
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import given
from msgspec.structs import replace

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import (
    Choice,
    EscalationCause,
    InvalidationCause,
    Outcome,
)
from ledger.domain.decision.item import (
    Change,
    Parameter,
    ParameterDoesNotFit,
    UnknownParameter,
    subject_digest,
)
from ledger.domain.decision.rules import AlreadyVoted, NotInGroup
from ledger.domain.decision.state import Vote, case_of
from ledger.domain.decision.voting import (
    AllVotesAreIn,
    OnlyApprovalsChange,
    ParameterNotEditable,
    is_quorum,
)
from ledger.domain.ids import BulkId, PersonId
from ledger.domain.terms import Action, GroupQuorum
from tests.builders import (
    ADA,
    ANA,
    BEN,
    DIGEST,
    ITEM,
    LEA,
    SAM,
    SUSPECT,
    authority,
    cast_vote,
    claimed,
    escalate,
    escalated,
    later,
    policy,
    released,
    resolved,
    submitted,
    voted,
)
from tests.builders.workflow_events import information_provided, votes_invalidated
from tests.domain.given import Given

TOGETHER = BulkId(UUID(int=80_000))
GROUPS = ("soc", "legal", "ops")
APPROVE, REJECT, ABSTAIN = Choice.APPROVE, Choice.REJECT, Choice.ABSTAIN
BLOCK, ISOLATE = Action.BLOCK_IP, Action.QUARANTINE_SYSTEM

TWO_APPROVE = policy(approvals=2, rejections=2)
THREE_APPROVE = policy(approvals=3, rejections=2)
OF_THREE = replace(TWO_APPROVE, voters=3)
ONE_OF_EACH = replace(
    TWO_APPROVE,
    groups=(GroupQuorum(group="soc", approvals=1), GroupQuorum(group="legal", approvals=1)),
)
EDITABLE = replace(TWO_APPROVE, editable_parameters=("/source_ip", "/iocs"))
CONFLICTING = replace(THREE_APPROVE, escalates_on_conflict=True)

MILDER = Parameter("/source_ip", '"203.0.113.0"')
MILDER_CHANGE = Change(pointer="/source_ip", before='"203.0.113.9"', after='"203.0.113.0"')
MILDER_ITEM = subject_digest(SUSPECT, replace(ITEM, source_ip="203.0.113.0"), 1, submitted().priority)


def asked(terms, *events):
    return Given(DECISION, submitted(policy=terms), *events)


def member(person, *groups):
    return authority(person, groups=groups)


def test_the_last_vote_that_is_needed_settles_it():
    asked(THREE_APPROVE, voted(by=ANA), voted(by=BEN)).when(cast_vote(by=LEA)).then(
        voted(by=LEA), resolved(by=LEA, approvals=3)
    )


def test_one_vote_fewer_does_not():
    asked(THREE_APPROVE, voted(by=ANA)).when(cast_vote(by=BEN)).then(voted(by=BEN))


def test_a_vote_says_with_which_others_it_was_cast():
    asked(TWO_APPROVE).when(replace(cast_vote(by=ANA), bulk=TOGETHER)).then(
        replace(voted(by=ANA), bulk=TOGETHER)
    )


def test_abstaining_counts_for_neither_side():
    asked(TWO_APPROVE, voted(by=ANA), voted(by=SAM, choice=REJECT)).when(
        cast_vote(by=BEN, choice=ABSTAIN)
    ).then(voted(by=BEN, choice=ABSTAIN))


def test_who_abstained_has_voted():
    asked(TWO_APPROVE, voted(by=ANA, choice=ABSTAIN)).when(cast_vote(by=ANA)).then_refused(
        AlreadyVoted, decision_id=SUSPECT, person=ANA
    )


def test_the_approvals_of_those_who_abstained_are_not_asked_for_actions():
    asked(TWO_APPROVE, voted(by=ANA), voted(by=SAM, choice=ABSTAIN, actions=())).when(cast_vote(by=BEN)).then(
        voted(by=BEN), resolved(by=BEN, approvals=2)
    )


def test_rejections_end_it_at_their_own_threshold():
    asked(THREE_APPROVE, voted(by=ANA, choice=REJECT), voted(by=SAM)).when(
        cast_vote(by=BEN, choice=REJECT, notes="no")
    ).then(
        voted(by=BEN, choice=REJECT, notes="no"),
        resolved(by=BEN, outcome=Outcome.REJECTED, notes="no", approvals=1, rejections=2),
    )


def test_a_rejection_echoes_the_actions_of_the_last_one():
    asked(TWO_APPROVE, voted(by=ANA, choice=REJECT, actions=(BLOCK,))).when(
        cast_vote(by=BEN, choice=REJECT, actions=(ISOLATE,))
    ).then(
        voted(by=BEN, choice=REJECT, actions=(ISOLATE,)),
        resolved(by=BEN, outcome=Outcome.REJECTED, actions=(ISOLATE,), approvals=0, rejections=2),
    )


def test_one_rejection_below_the_threshold_does_not_end_it():
    asked(THREE_APPROVE).when(cast_vote(by=BEN, choice=REJECT)).then(voted(by=BEN, choice=REJECT))


def test_what_is_approved_is_what_all_who_approve_allow():
    asked(
        THREE_APPROVE, voted(by=ANA, actions=(BLOCK, ISOLATE)), voted(by=BEN, actions=(ISOLATE, BLOCK))
    ).when(cast_vote(by=LEA, actions=(ISOLATE, Action.CUSTOM))).then(
        voted(by=LEA, actions=(ISOLATE, Action.CUSTOM)),
        resolved(by=LEA, actions=(ISOLATE,), approvals=3),
    )


def test_who_rejected_takes_no_action_away():
    asked(TWO_APPROVE, voted(by=ANA), voted(by=SAM, choice=REJECT, actions=())).when(cast_vote(by=BEN)).then(
        voted(by=BEN), resolved(by=BEN, approvals=2, rejections=1)
    )


def test_the_groups_that_are_asked_for_are_among_those_who_approve():
    asked(ONE_OF_EACH, voted(by=ANA, groups=("soc",))).when(cast_vote(by=member(BEN, "legal"))).then(
        voted(by=BEN, groups=("legal",)), resolved(by=BEN, approvals=2)
    )


def test_enough_approvals_of_one_group_alone_wait_for_the_other():
    asked(ONE_OF_EACH, voted(by=ANA, groups=("soc",))).when(cast_vote(by=member(BEN, "soc", "ops"))).then(
        voted(by=BEN, groups=("soc", "ops"))
    )


def test_a_person_in_two_groups_counts_for_one_of_them():
    both = ("soc", "legal")

    asked(ONE_OF_EACH, voted(by=ANA, groups=both)).when(cast_vote(by=BEN)).then(voted(by=BEN))


def test_a_person_in_two_groups_counts_for_the_one_that_nobody_else_is_in():
    both = ("soc", "legal")

    asked(ONE_OF_EACH, voted(by=ANA, groups=both)).when(cast_vote(by=member(BEN, "soc"))).then(
        voted(by=BEN, groups=("soc",)), resolved(by=BEN, approvals=2)
    )


def test_whoever_sits_already_keeps_the_seat_that_is_theirs_alone():
    both = ("legal", "soc")

    asked(ONE_OF_EACH, voted(by=ANA, groups=("soc",))).when(cast_vote(by=member(BEN, *both))).then(
        voted(by=BEN, groups=both), resolved(by=BEN, approvals=2)
    )


def test_the_groups_that_count_are_those_at_the_moment_of_the_vote():
    asked(ONE_OF_EACH, voted(by=ANA, groups=()), voted(by=BEN, groups=("legal",))).when(
        cast_vote(by=LEA)
    ).then(voted(by=LEA))


def test_members_of_the_reviewing_groups_vote_and_others_do_not():
    for_two = replace(TWO_APPROVE, reviewers=("soc", "legal"))

    asked(for_two).when(cast_vote(by=member(BEN, "ops", "legal"))).then(
        voted(by=BEN, groups=("ops", "legal"))
    )
    asked(for_two).when(cast_vote(by=member(BEN, "ops"))).then_refused(
        NotInGroup, decision_id=SUSPECT, person=BEN, groups="soc, legal"
    )


def test_an_administrator_votes_without_being_a_member():
    asked(replace(TWO_APPROVE, reviewers=("soc",))).when(cast_vote(by=ADA)).then(voted(by=ADA))


@pytest.mark.parametrize(("level", "group"), [(1, "soc"), (2, None), (3, "legal"), (4, None)], ids=str)
def test_each_level_has_its_group_or_is_for_everybody(level, group):
    terms = replace(TWO_APPROVE, ladder=("soc", "", "legal"), escalation_levels=5, reviewers=("ops",))
    moved_up = asked(terms, *(escalated(by=SAM, level=step) for step in range(1, level + 1)))

    if group is None:
        moved_up.when(cast_vote(by=BEN)).then(voted(by=BEN, level=level))
    else:
        moved_up.when(cast_vote(by=member(BEN, group))).then(voted(by=BEN, level=level, groups=(group,)))
        moved_up.when(cast_vote(by=member(BEN, "ops"))).then_refused(
            NotInGroup, decision_id=SUSPECT, person=BEN, groups=group
        )


def test_an_escalation_names_the_group_that_it_goes_to():
    asked(replace(TWO_APPROVE, ladder=("soc", "", "legal"))).when(escalate(by=ANA)).then(
        escalated(by=ANA, group="soc")
    )


def test_approving_with_changed_parameters_says_what_they_were_and_names_the_item_as_it_would_be():
    asked(EDITABLE).when(cast_vote(by=ANA, parameters=(MILDER,))).then(
        voted(by=ANA, changes=(MILDER_CHANGE,), approves=MILDER_ITEM)
    )


def test_changed_parameters_count_with_identical_ones():
    asked(EDITABLE, voted(by=ANA, changes=(MILDER_CHANGE,), approves=MILDER_ITEM)).when(
        cast_vote(by=BEN, parameters=(MILDER,))
    ).then(
        voted(by=BEN, changes=(MILDER_CHANGE,), approves=MILDER_ITEM),
        resolved(by=BEN, approvals=2, changes=(MILDER_CHANGE,), approved_digest=MILDER_ITEM),
    )


@pytest.mark.parametrize("parameters", [(), (Parameter("/source_ip", '"203.0.113.1"'),)])
def test_changed_parameters_do_not_count_with_others(parameters):
    first = voted(by=ANA, changes=(MILDER_CHANGE,), approves=MILDER_ITEM)
    given = asked(EDITABLE, first)

    events = DECISION.decide(cast_vote(by=BEN, parameters=parameters), given.state)

    assert [type(event).__name__ for event in events] == ["VoteCast"]


def test_only_those_who_approve_the_same_say_which_actions():
    asked(
        EDITABLE,
        voted(by=ANA, actions=(), changes=(MILDER_CHANGE,), approves=MILDER_ITEM),
        voted(by=BEN, actions=(BLOCK, ISOLATE)),
    ).when(cast_vote(by=LEA, actions=(BLOCK, ISOLATE))).then(
        voted(by=LEA, actions=(BLOCK, ISOLATE)),
        resolved(by=LEA, actions=(BLOCK, ISOLATE), approvals=3),
    )


def test_parameters_as_they_are_approve_the_item_as_it_is():
    same = Parameter("/source_ip", ' "203.0.113.9"')

    asked(EDITABLE, voted(by=ANA)).when(cast_vote(by=BEN, parameters=(same,))).then(
        voted(by=BEN), resolved(by=BEN, approvals=2)
    )


def test_what_lies_in_an_editable_parameter_is_editable():
    inner = Parameter("/iocs/0", '"bad.example"')
    other = subject_digest(SUSPECT, replace(ITEM, iocs=("bad.example",)), 1, submitted().priority)
    change = Change(pointer="/iocs/0", before='"evil.example"', after='"bad.example"')

    asked(EDITABLE).when(cast_vote(parameters=(inner,))).then(voted(changes=(change,), approves=other))


@pytest.mark.parametrize("pointer", ["/confidence", "/source_ipx", "", "source_ip", "/source_ip~2"])
def test_other_parameters_are_not_changed(pointer):
    asked(EDITABLE).when(cast_vote(parameters=(MILDER, Parameter(pointer, "1")))).then_refused(
        ParameterNotEditable, decision_id=SUSPECT, pointer=pointer
    )


@pytest.mark.parametrize("choice", [REJECT, ABSTAIN])
def test_only_an_approval_changes_parameters(choice):
    asked(EDITABLE).when(cast_vote(choice=choice, parameters=(MILDER,))).then_refused(
        OnlyApprovalsChange, decision_id=SUSPECT, choice=choice
    )


def test_a_parameter_that_is_not_there_is_not_changed():
    asked(EDITABLE).when(cast_vote(parameters=(Parameter("/iocs/7", '"x"'),))).then_refused(
        UnknownParameter, pointer="/iocs/7"
    )


def test_a_value_that_the_item_cannot_have_is_refused():
    asked(EDITABLE).when(cast_vote(parameters=(Parameter("/iocs", "1"),))).then_refused(
        ParameterDoesNotFit, pointers="/iocs"
    )


def test_after_the_item_has_changed_whoever_voted_votes_again():
    other = replace(ITEM, source_ip="203.0.113.1")
    digest = subject_digest(SUSPECT, other, 1, submitted().priority)
    voided = asked(
        TWO_APPROVE,
        voted(by=ANA),
        information_provided(item=other),
        votes_invalidated(InvalidationCause.SUBJECT_CHANGED),
    )

    voided.when(cast_vote(by=ANA, digest=digest)).then(replace(voted(by=ANA), subject_digest=digest))


def test_when_no_side_can_win_any_more_it_moves_up_and_the_votes_are_void():
    split = replace(TWO_APPROVE, voters=2)

    asked(split, voted(by=ANA)).when(cast_vote(by=BEN, choice=REJECT)).then(
        voted(by=BEN, choice=REJECT),
        escalated(by=None, cause=EscalationCause.NO_QUORUM, reason=""),
        votes_invalidated(InvalidationCause.NO_QUORUM),
    )


def test_while_either_side_can_still_win_it_waits():
    asked(OF_THREE, voted(by=ANA)).when(cast_vote(by=BEN, choice=REJECT)).then(voted(by=BEN, choice=REJECT))


def test_while_rejections_alone_can_still_end_it_it_waits():
    terms = replace(OF_THREE, approvals_needed=3)

    asked(terms, voted(by=ANA, choice=REJECT)).when(cast_vote(by=BEN, choice=ABSTAIN)).then(
        voted(by=BEN, choice=ABSTAIN)
    )


def test_abstentions_take_the_votes_that_could_have_settled_it():
    asked(OF_THREE, voted(by=ANA, choice=ABSTAIN)).when(cast_vote(by=BEN, choice=ABSTAIN)).then(
        voted(by=BEN, choice=ABSTAIN),
        escalated(by=None, cause=EscalationCause.NO_QUORUM, reason=""),
        votes_invalidated(InvalidationCause.NO_QUORUM),
    )


def test_a_vote_under_a_lease_that_moves_it_up_gives_the_lease_back_first():
    split = replace(TWO_APPROVE, voters=2, ladder=("soc",))

    asked(split, voted(by=ANA), claimed(by=BEN)).when(cast_vote(by=BEN, choice=REJECT, token=1)).then(
        voted(by=BEN, choice=REJECT, token=1),
        released(by=BEN),
        escalated(by=None, cause=EscalationCause.NO_QUORUM, reason="", group="soc"),
        votes_invalidated(InvalidationCause.NO_QUORUM),
    )


def test_approvals_of_different_items_do_not_win_together():
    terms = replace(EDITABLE, voters=2)

    asked(terms, voted(by=ANA, changes=(MILDER_CHANGE,), approves=MILDER_ITEM)).when(cast_vote(by=BEN)).then(
        voted(by=BEN),
        escalated(by=None, cause=EscalationCause.NO_QUORUM, reason=""),
        votes_invalidated(InvalidationCause.NO_QUORUM),
    )


def test_votes_that_leave_no_room_for_a_group_cannot_win():
    terms = replace(ONE_OF_EACH, voters=3, rejections_needed=3)

    asked(terms, voted(by=ANA, groups=("soc",)), voted(by=BEN, groups=("soc",))).when(
        cast_vote(by=member(LEA, "soc"))
    ).then(
        voted(by=LEA, groups=("soc",)),
        escalated(by=None, cause=EscalationCause.NO_QUORUM, reason=""),
        votes_invalidated(InvalidationCause.NO_QUORUM),
    )


def test_votes_that_leave_room_for_a_group_wait_for_it():
    terms = replace(ONE_OF_EACH, voters=3, rejections_needed=3)

    asked(terms, voted(by=ANA, groups=("soc",))).when(cast_vote(by=member(BEN, "soc"))).then(
        voted(by=BEN, groups=("soc",))
    )


def test_at_the_highest_level_votes_that_do_not_agree_stay():
    split = replace(TWO_APPROVE, voters=2, escalation_levels=0)

    asked(split, voted(by=ANA)).when(cast_vote(by=BEN, choice=REJECT)).then(voted(by=BEN, choice=REJECT))


def test_when_all_votes_are_in_nobody_else_votes():
    split = replace(TWO_APPROVE, voters=2, escalation_levels=0)

    asked(split, voted(by=ANA), voted(by=BEN, choice=REJECT)).when(cast_vote(by=LEA)).then_refused(
        AllVotesAreIn, decision_id=SUSPECT
    )


def test_a_conflict_moves_it_up_and_voids_the_votes():
    asked(CONFLICTING, voted(by=ANA)).when(cast_vote(by=BEN, choice=REJECT)).then(
        voted(by=BEN, choice=REJECT),
        escalated(by=None, cause=EscalationCause.CONFLICT, reason=""),
        votes_invalidated(InvalidationCause.CONFLICT),
    )


def test_a_conflict_that_is_settled_by_the_same_vote_is_none():
    asked(replace(CONFLICTING, rejections_needed=1), voted(by=ANA)).when(
        cast_vote(by=BEN, choice=REJECT)
    ).then(
        voted(by=BEN, choice=REJECT),
        resolved(by=BEN, outcome=Outcome.REJECTED, approvals=1, rejections=1),
    )


def test_an_abstention_conflicts_with_nobody():
    asked(CONFLICTING, voted(by=ANA)).when(cast_vote(by=BEN, choice=ABSTAIN)).then(
        voted(by=BEN, choice=ABSTAIN)
    )


def test_at_the_highest_level_a_conflict_is_voted_out():
    asked(replace(CONFLICTING, escalation_levels=0), voted(by=ANA)).when(
        cast_vote(by=BEN, choice=REJECT)
    ).then(voted(by=BEN, choice=REJECT))


def test_at_the_next_level_whoever_voted_votes_afresh():
    moved_up = asked(
        CONFLICTING,
        voted(by=ANA),
        voted(by=BEN, choice=REJECT),
        escalated(by=None, cause=EscalationCause.CONFLICT, reason=""),
        votes_invalidated(InvalidationCause.CONFLICT),
    )

    assert case_of(moved_up.state).votes == ()
    moved_up.when(cast_vote(by=ANA, now=later(1))).then(voted(by=ANA, level=1, at=later(1)))


PEOPLE = st.lists(st.sets(st.sampled_from(GROUPS)).map(lambda groups: tuple(sorted(groups))), max_size=5)
SEATS = st.lists(st.sampled_from(GROUPS), max_size=4)


def seated_by_trial(people, seats):
    """Try every way to sit different persons on the seats."""
    return any(
        all(seat in people[person] for seat, person in zip(seats, chosen, strict=True))
        for chosen in permutations(range(len(people)), len(seats))
    )


@given(people=PEOPLE, seats=SEATS, needed=st.integers(1, 5))
def test_a_quorum_is_one_where_some_way_to_sit_different_persons_fills_every_seat(people, seats, needed):
    asked_for = tuple(GroupQuorum(group=group, approvals=seats.count(group)) for group in sorted(set(seats)))
    terms = replace(policy(approvals=needed), groups=asked_for)
    approvals = tuple(
        Vote(voter=PersonId(SAM), choice=APPROVE, approves=DIGEST, groups=groups) for groups in people
    )

    assert is_quorum(approvals, terms) is (len(people) >= needed and seated_by_trial(people, seats))
