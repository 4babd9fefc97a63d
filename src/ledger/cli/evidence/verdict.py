"""How a decision stands, and what of that was done by machines, in sentences."""

from collections.abc import Iterator

from ledger.cli.evidence.dossier import Dossier
from ledger.cli.evidence.people import described
from ledger.domain.decision.events import DecisionExpired, DecisionResolved
from ledger.domain.decision.item import ThreatAnalysis
from ledger.domain.decision.state import Resolved, answer_of, status_of
from ledger.domain.terms import DefaultOutcome


def outcome(dossier: Dossier) -> str:
    """Say in one sentence how it stands."""
    story = dossier.story
    status, answer = status_of(story.state, dossier.made_at), answer_of(story.state)
    if answer is None:
        return f"{status.value}: there is no verdict yet"
    by = "" if answer.decided_by is None else f" by {described(answer.decided_by, dossier.people)}"
    actions = f"; allowed: {', '.join(answer.approved_actions)}" if answer.approved_actions else ""
    words = answer.notes or answer.escalation_reason or ""
    noted = f": “{words}”" if words else ""
    return f"{status.value} on {answer.decided_at:%Y-%m-%d %H:%M:%S} UTC{by}{actions}{noted}"


def machine_part(dossier: Dossier) -> Iterator[str]:
    """Say what a machine did and what it did not."""
    submitter = dossier.people[dossier.story.submitted.submitted_by]
    if submitter.is_machine(dossier.story.first):
        yield f"{submitter.username()}, a machine, asked for this decision. It could not take it itself."
    else:
        yield f"No machine asked for this decision: {described(submitter.person, dossier.people)} did."
    yield _recommended(dossier)
    yield from _decided(dossier)


def _recommended(dossier: Dossier) -> str:
    item = dossier.story.submitted.item
    if not isinstance(item, ThreatAnalysis):
        return "What was recommended, if anything was, is part of the item above."
    advice = "; ".join(item.recommended_actions) or "nothing"
    told = f"It was {item.confidence:g} % sure, and recommended: {advice}. That bound nobody."
    return dossier.opener.text(told)


def _decided(dossier: Dossier) -> Iterator[str]:
    persons = list(dict.fromkeys(one.person for one in dossier.signatures))
    names = ", ".join(described(person, dossier.people) for person in persons)
    expired = next((e.event for e in dossier.story.events if isinstance(e.event, DecisionExpired)), None)
    if expired is not None:
        let = "may act" if expired.default_outcome is DefaultOutcome.APPROVE else "may not act"
        seen = "somebody had looked at it" if expired.human_seen else "nobody had looked at it"
        yield (
            f"No person decided it in time: a timer let it expire, and by its policy its submitter {let}; {seen}."
        )
    elif isinstance(dossier.story.state, Resolved):
        counted = next((e.event for e in dossier.story.events if isinstance(e.event, DecisionResolved)), None)
        how = "" if counted is None else f" ({counted.approvals} approving, {counted.rejections} rejecting)"
        yield f"People decided it{how}. Each signature below was given by a person in a session of their own."
    if names:
        yield f"Who signed: {names}."
