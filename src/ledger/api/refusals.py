"""Which status a rule of decisions is told with: 409, but 400 where the service that this one replaces said so."""

from typing import Final

from ledger.domain.decision import claiming, ending, informing, item, rules, using, voting
from ledger.domain.errors import LedgerError, RuleViolation
from ledger.personal import covering
from ledger.projections import picking


class SelectionDiffers(RuleViolation):
    """This is not the selection that was previewed, or not by you, or not for this."""

    code = "selection-differs"
    advice = "Preview it again (POST /api/decisions/bulk/preview) and send what that answers."


THE_PROTOTYPES_CALLS: Final = frozenset(
    {
        "/api/decisions/submit",
        "/api/decisions/{analysis_id}/decide",
        "/api/decisions/{analysis_id}/escalate",
    }
)

THE_PROTOTYPES_RULES: Final[tuple[type[RuleViolation], ...]] = (
    rules.AlreadyExists,
    rules.AlreadyMade,
    rules.DecisionClosed,
    rules.DeadlinePassed,
    rules.ActionNotAllowed,
    rules.ReasonRequired,
    rules.EscalationReasonRequired,
    rules.EscalationExhausted,
)
"""400 on the prototype's calls, 409 on ours."""

OUR_RULES: Final[tuple[type[RuleViolation], ...]] = (
    rules.LeaseHeld,
    rules.LeaseLost,
    rules.AssignedToAnother,
    rules.AlreadyVoted,
    rules.SubjectChanged,
    rules.SubjectNotNamed,
    item.UnknownParameter,
    item.ParameterDoesNotFit,
    voting.ParameterNotEditable,
    voting.OnlyApprovalsChange,
    voting.AllVotesAreIn,
    claiming.CannotWorkOnIt,
    claiming.NothingOffered,
    claiming.HandoverToYourself,
    informing.QuestionOpen,
    informing.NothingWasAsked,
    informing.AnotherKind,
    informing.TooMuchEvidence,
    informing.TooManyQuestions,
    informing.TooManyComments,
    ending.NoSuccessor,
    ending.NothingToCountersign,
    ending.CountersignTooLate,
    using.NotApproved,
    using.DigestDiffers,
    using.AlreadyRedeemed,
    using.ApprovalExpired,
    using.OverrideNotCountersigned,
    using.OutcomeAlreadyReported,
    picking.TooManyClaims,
    covering.SubjectErased,
    covering.AnotherSubject,
    SelectionDiffers,
)
"""409 on every call."""


def is_conflict(kind: type[LedgerError], path_template: str) -> bool:
    """Say whether a refusal is told as 409 on this call, whatever it is elsewhere."""
    return issubclass(kind, THE_PROTOTYPES_RULES) and path_template not in THE_PROTOTYPES_CALLS
