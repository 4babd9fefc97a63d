"""Every way in which terms can contradict themselves, each with its refusal."""

import pytest

from ledger.domain.policy import rules
from ledger.domain.policy.rules import RANGES, YEAR, must_be_consistent
from ledger.domain.terms import BUILT_IN_KIND, Action, DefaultOutcome, GroupQuorum, Risk
from tests.builders.policies import terms


def refused(refusal, /, changes, **context):
    with pytest.raises(rules.InconsistentPolicy) as told:
        must_be_consistent(terms(**changes))

    assert type(told.value) is refusal
    assert told.value.context == context


def of(group, approvals):
    return GroupQuorum(group=group, approvals=approvals)


@pytest.mark.parametrize("field", RANGES)
def test_a_number_out_of_its_range_is_refused(field):
    least, most = RANGES[field]
    for value in (least - 1, most + 1):
        refused(rules.OutOfRange, {field: value}, field=field, value=value, least=least, most=most)


@pytest.mark.parametrize("approvals", [0, 101])
def test_so_is_the_quorum_of_a_group(approvals):
    refused(
        rules.OutOfRange,
        {"groups": (of("legal", approvals),)},
        field="groups.approvals",
        value=approvals,
        least=1,
        most=100,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"approvals_needed": 100, "rejections_needed": 100, "escalation_levels": 0},
        {"voters": 1},
        {"voters": 100},
        {"escalation_levels": 0},
        {"escalation_levels": 10, "ladder": ("",) * 10},
        {"lease_seconds": 30},
        {"lease_seconds": 86_400},
        {"step_up_seconds": 30},
        {"step_up_seconds": 3600},
        {"target_seconds": 1, "deadline_seconds": 2},
        {"target_seconds": YEAR},
        {"deadline_seconds": 1},
        {"deadline_seconds": YEAR},
        {"reviewers": tuple(f"g{number}" for number in range(100)), "escalation_levels": 0},
        {"editable_parameters": ("/" + "x" * 499,)},
        {"information_seconds": 60},
        {"information_seconds": YEAR},
        {"redeem_seconds": 1},
        {"redeem_seconds": YEAR},
        {"countersign_seconds": 60},
        {"countersign_seconds": YEAR},
        {"approvals_needed": 3, "voters": 5, "rejections_needed": 3, "escalation_levels": 0},
        {"approvals_needed": 3, "groups": (of("legal", 1), of("soc", 2))},
        {"reviewers": ("soc", "l-1_x"), "ladder": ("lead", "", "board")},
        {"editable_parameters": ("/amount", "/to/0", "/", "/a~0b~1c")},
        {"default_outcome": DefaultOutcome.APPROVE, "risk": Risk.LOW, "deadline_seconds": 60},
        {"escalates_at_half": True, "escalates_at_breach": True, "target_seconds": 60},
        {"escalates_at_half": True, "deadline_seconds": 60},
        {"escalates_on_conflict": True},
    ],
)
def test_the_edges_are_taken(changes):
    must_be_consistent(terms(**changes))


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("allowed_actions", (Action.CUSTOM, Action.CUSTOM)),
        ("reviewers", ("soc", "soc")),
        ("reviewers", tuple(f"g{number}" for number in range(101))),
        ("editable_parameters", ("/a", "/a")),
        ("editable_parameters", tuple(f"/{number}" for number in range(101))),
    ],
)
def test_a_list_names_nothing_twice_and_not_too_much(field, names):
    refused(rules.TooManyNamed, {field: names}, field=field, most=100)


def test_a_group_has_one_quorum():
    groups = (of("legal", 1), of("legal", 1))
    refused(rules.TooManyNamed, {"groups": groups, "approvals_needed": 2}, field="groups", most=100)


@pytest.mark.parametrize("name", ["Legal", "1st", "-a", "a b", "ä", "a\n", "a" * 51])
def test_group_names_are_checked_wherever_they_stand(name):
    for changes in ({"groups": (of(name, 1),)}, {"reviewers": (name,)}, {"ladder": (name,)}):
        refused(rules.BadGroupName, changes, group=name)


def test_nobody_reviews_in_a_group_without_a_name():
    refused(rules.BadGroupName, {"reviewers": ("",)}, group="")


def test_something_must_be_allowed():
    refused(rules.NothingAllowed, {"allowed_actions": ()})


def test_there_are_voters_enough():
    refused(
        rules.TooFewVoters,
        {"approvals_needed": 3, "voters": 2},
        voters=2,
        approvals_needed=3,
        rejections_needed=1,
    )
    refused(
        rules.TooFewVoters,
        {"rejections_needed": 3, "voters": 2},
        voters=2,
        approvals_needed=1,
        rejections_needed=3,
    )


def test_voters_cannot_tie_for_good():
    tie = {"approvals_needed": 3, "rejections_needed": 3, "voters": 4, "escalation_levels": 0}

    refused(rules.VotersCanTie, tie, voters=4, approvals_needed=3, rejections_needed=3)
    must_be_consistent(terms(**tie, deadline_seconds=60))
    must_be_consistent(terms(**{**tie, "escalation_levels": 1}))


def test_groups_need_no_more_than_all():
    changes = {"approvals_needed": 2, "groups": (of("legal", 1), of("soc", 2))}
    refused(rules.GroupsNeedTooMany, changes, groups=3, approvals_needed=2)


def test_the_ladder_is_no_longer_than_the_levels():
    refused(
        rules.LadderTooLong,
        {"escalation_levels": 1, "ladder": ("lead", "")},
        steps=2,
        escalation_levels=1,
    )


@pytest.mark.parametrize("ladder", [(), ("lead", "")])
def test_who_names_reviewers_names_who_works_at_every_level(ladder):
    changes = {"reviewers": ("soc",), "escalation_levels": 3, "ladder": ladder}
    refused(rules.LadderIncomplete, changes, steps=len(ladder), escalation_levels=3)

    must_be_consistent(terms(**changes | {"ladder": ("lead", "", "")}))


@pytest.mark.parametrize("when", ["escalates_at_half", "escalates_at_breach", "escalates_on_conflict"])
def test_what_escalates_needs_a_level(when):
    refused(rules.NowhereToEscalate, {when: True, "escalation_levels": 0, "target_seconds": 60})


@pytest.mark.parametrize(
    ("when", "times"),
    [
        ("escalates_at_half", {}),
        ("escalates_at_breach", {}),
        ("escalates_at_breach", {"deadline_seconds": 60}),
    ],
)
def test_what_escalates_by_the_clock_needs_a_time(when, times):
    refused(rules.NothingToMeasure, {when: True, **times}, field=when)


@pytest.mark.parametrize("target", [60, 61])
def test_the_target_lies_before_the_deadline(target):
    refused(
        rules.TargetAfterDeadline,
        {"target_seconds": target, "deadline_seconds": 60},
        target_seconds=target,
        deadline_seconds=60,
    )


def test_only_a_low_risk_is_approved_by_nobody():
    by_nobody = {"default_outcome": DefaultOutcome.APPROVE, "deadline_seconds": 60}
    refused(rules.ApprovedByNobody, by_nobody, risk="high")


def test_what_holds_at_the_deadline_needs_one():
    refused(rules.DefaultWithoutDeadline, {"default_outcome": DefaultOutcome.APPROVE, "risk": Risk.LOW})


@pytest.mark.parametrize("pointer", ["", "amount", "/a~2", "/a~", "#/a", "/" + "x" * 500])
def test_an_editable_parameter_is_a_pointer_into_the_payload(pointer):
    refused(rules.BadPointer, {"editable_parameters": (pointer,)}, pointer=pointer[:500])


@pytest.mark.parametrize(
    "changes",
    [
        {"personal": ("/who", "/a/0", "notes", "reason", "ticket", "comment")},
        {"personal": ("question", "answer", "evidence_name", "details"), "subject": "/who/id"},
        {"personal": ("/a", "/ab"), "subject": "/a/b", "editable_parameters": ("/abc", "/c")},
    ],
)
def test_what_can_be_sealed_is_taken(changes):
    must_be_consistent(terms(**changes))


def test_a_text_that_there_is_not_cannot_be_marked():
    known = "notes, reason, ticket, comment, question, answer, evidence_name, details"
    refused(rules.UnknownPersonalText, {"personal": ("/a", "note")}, name="note", known=known)


@pytest.mark.parametrize("pointer", ["/", "/a/"])
def test_an_empty_name_is_a_name(pointer):
    must_be_consistent(terms(personal=(pointer,)))


@pytest.mark.parametrize("pointer", ["/~2", "/" + "x" * 500])
def test_what_is_marked_in_a_payload_is_pointed_to(pointer):
    refused(rules.BadPointer, {"personal": (pointer,)}, pointer=pointer[:500])


def test_the_subject_is_pointed_to():
    refused(rules.BadPointer, {"personal": ("notes",), "subject": "id"}, pointer="id")
    refused(rules.BadPointer, {"personal": ("notes",), "subject": ""}, pointer="")


def test_nothing_is_marked_twice():
    refused(rules.TooManyNamed, {"personal": ("notes", "notes")}, field="personal", most=100)
    refused(rules.PersonalOverlaps, {"personal": ("/a/b", "/a")}, outer="/a", inner="/a/b")


@pytest.mark.parametrize(
    ("personal", "editable"), [("/a", "/a"), ("/a", "/a/b"), ("/a/b", "/a")], ids=["same", "within", "around"]
)
def test_voters_cannot_change_what_is_sealed_nor_whom_it_is_about(personal, editable):
    told = {"personal": personal, "editable": editable}
    refused(rules.PersonalIsEditable, {"personal": (personal,), "editable_parameters": (editable,)}, **told)
    changes = {"personal": ("notes",), "subject": personal, "editable_parameters": (editable,)}
    refused(rules.PersonalIsEditable, changes, **told)


def test_a_subject_is_the_subject_of_something():
    refused(rules.SubjectOfNothing, {"subject": "/id"}, subject="/id")


@pytest.mark.parametrize("pointer", ["/confidence", "/iocs/0", "/kind", "/source_ip/x"])
def test_only_texts_of_the_built_in_kind_are_sealed(pointer):
    refused(rules.CannotBeSealed, {"name": BUILT_IN_KIND, "personal": (pointer,)}, pointer=pointer)


def test_a_list_of_the_built_in_kind_is_nobody():
    changes = {"name": BUILT_IN_KIND, "personal": ("/iocs", "/source_ip"), "subject": "/iocs"}
    refused(rules.CannotBeSealed, changes, pointer="/iocs")
    must_be_consistent(terms(**{**changes, "subject": "/incident_id"}))
