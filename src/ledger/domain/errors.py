"""Why something was refused: one root, a few families; each reason has a stable code and its facts."""

import inspect
from typing import ClassVar, final


class LedgerError(Exception):
    """The ledger could not do this.

    ``code`` is public and never changes; ``context`` holds the facts; the first line of the
    docstring is the title that people read, ``advice`` says what they can do about it.
    """

    code: ClassVar[str] = "ledger-error"
    advice: ClassVar[str] = ""

    def __init__(self, **context: object) -> None:
        """Take the facts of this very case, by name."""
        super().__init__(context)
        self.context = context

    @classmethod
    def title(cls) -> str:
        """Say what happened, in one sentence."""
        return inspect.cleandoc(cls.__doc__ or cls.code).splitlines()[0]

    @final
    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self.context.items())
        sentences = " ".join(part for part in (self.title(), self.advice) if part)
        return f"{sentences} ({facts})" if facts else sentences


class RuleViolation(LedgerError):
    """The state of things forbids it."""

    code = "rule-violation"


class Refused(LedgerError):
    """This person may not do it."""

    code = "refused"


class Unauthenticated(LedgerError):
    """Not authenticated."""

    code = "not-authenticated"
    advice = "Log in and send the access token as 'Authorization: Bearer …'."


class Invalid(LedgerError):
    """The request is not well-formed."""

    code = "invalid"


class ReasonMissing(Invalid):
    """This act needs a reason: whoever reads the history will ask for it."""

    code = "reason-missing"
    advice = "Say in one sentence why."


class NotFound(LedgerError):
    """There is no such thing here: it was not found."""

    code = "not-found"


class VersionConflict(LedgerError):
    """Somebody else wrote first.

    Context: ``stream``, ``expected`` and ``actual`` versions.
    """

    code = "version-conflict"
    advice = "Read it again and repeat the request."


class PreconditionFailed(LedgerError):
    """It has changed since the version you named in If-Match.

    Context: ``expected`` and ``actual`` versions, ``since``: the types of the events in between.
    """

    code = "precondition-failed"
    advice = "Read it again, then decide whether the request still makes sense."


class KeyReused(LedgerError):
    """This Idempotency-Key was used for another request."""

    code = "idempotency-key-reused"
    advice = "Use a new key for a new request; repeat the same request to get its first answer."


class Overloaded(LedgerError):
    """More is asked than can be written down in time."""

    code = "overloaded"
    advice = "Nothing was written; repeat the request after the time in Retry-After."


class Unavailable(LedgerError):
    """The ledger cannot be reached."""

    code = "unavailable"
    advice = "Nothing was written; repeat the request after the time in Retry-After."


class OutcomeUnknown(Unavailable):
    """The connection broke before the outcome was known."""

    code = "outcome-unknown"
    advice = "Repeat the request with the same Idempotency-Key to learn what happened."


class Corrupt(LedgerError):
    """Stored data cannot be read by this release."""

    code = "unreadable"
    advice = "An operator has to look at it: run 'ledger doctor'."
