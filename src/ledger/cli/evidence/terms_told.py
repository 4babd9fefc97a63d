"""The terms of a decision in words."""

from collections.abc import Iterator

from ledger.domain.terms import DefaultOutcome, Policy, ReasonMode

REASONS = {
    ReasonMode.NEVER: "A vote needs no reason.",
    ReasonMode.ON_REJECT: "Who rejects says why.",
    ReasonMode.ALWAYS: "Every vote says why.",
}


def sentences(policy: Policy) -> list[str]:
    """Say what a policy asks for."""
    return [*_votes(policy), *_people(policy), *_clocks(policy), *_use(policy)]


def _votes(policy: Policy) -> Iterator[str]:
    of = "" if policy.voters is None else f" of at most {_persons(policy.voters)} who vote"
    count = policy.rejections_needed
    end = "1 rejection ends it" if count == 1 else f"{count} rejections end it"
    yield f"{_persons(policy.approvals_needed)}{of} must approve; {end}."
    for quorum in policy.groups:
        yield f"{quorum.approvals} of those who approve must be members of {quorum.group}."
    yield REASONS[policy.reason]
    if policy.four_eyes:
        yield "Whoever submitted it, or for whom it was submitted, may not decide it."
    if policy.step_up_seconds is not None:
        yield f"A voter has proven a second factor within {_duration(policy.step_up_seconds)} before the vote."


def _people(policy: Policy) -> Iterator[str]:
    if policy.reviewers:
        yield f"Members of {', '.join(policy.reviewers)} review it."
    if policy.escalation_levels:
        ladder = [group or "every reviewer" for group in policy.ladder]
        to = f": to {', then '.join(ladder)}" if ladder else ""
        yield f"It may be moved up {_times(policy.escalation_levels)}{to}."
    yield f"A claim lasts {_duration(policy.lease_seconds)}."


def _clocks(policy: Policy) -> Iterator[str]:
    if policy.target_seconds is not None:
        yield f"A verdict is wanted within {_duration(policy.target_seconds)}."
    if policy.deadline_seconds is None:
        yield "It has no deadline: without a verdict it stays open."
        return
    let = "may act all the same" if policy.default_outcome is DefaultOutcome.APPROVE else "may not act"
    yield (
        f"Without a verdict within {_duration(policy.deadline_seconds)} it expires, and its submitter {let}; "
        f"what a wrong approval could cost was said to be {policy.risk.value}."
    )


def _use(policy: Policy) -> Iterator[str]:
    yield f"What may be approved: {', '.join(action.value for action in policy.allowed_actions) or 'nothing'}."
    if policy.editable_parameters:
        yield f"Who approves may change {', '.join(policy.editable_parameters)}."
    if policy.redeem_seconds is not None:
        yield f"An approval is good for {_duration(policy.redeem_seconds)}."
    yield (
        "An administrator may override these rules; another one must countersign within "
        f"{_duration(policy.countersign_seconds)}."
    )


def _persons(count: int) -> str:
    return "1 person" if count == 1 else f"{count} persons"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _duration(seconds: int) -> str:
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
