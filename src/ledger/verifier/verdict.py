"""What a verification can end with, and the root of every reason why."""

import inspect
from enum import IntEnum
from typing import ClassVar, final


class Verdict(IntEnum):
    """The exit codes of ``ledger audit``; ``UNUSABLE``: there was nothing that could be verified."""

    VERIFIED = 0
    UNUSABLE = 1
    TAMPERED = 2
    FORK = 3
    POLICY_NOT_MET = 4
    INCOMPLETE = 5


class Unverified(Exception):
    """It could not be verified.

    ``code`` is public and never changes; ``context`` holds the facts; the first line of the docstring is what people
    read. The root is the verifier's own: it imports nothing of the service.
    """

    code: ClassVar[str] = "unverified"
    verdict: ClassVar[Verdict] = Verdict.UNUSABLE

    def __init__(self, **context: object) -> None:
        """Take the facts of this very case, by name; ``None``: not known."""
        known = {name: fact for name, fact in context.items() if fact is not None}
        super().__init__(known)
        self.context = known

    @classmethod
    def title(cls) -> str:
        """Say what was found, in one sentence."""
        return inspect.cleandoc(cls.__doc__ or cls.code).splitlines()[0]

    @final
    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self.context.items())
        return f"{self.title()} ({facts})" if facts else self.title()


class Unusable(Unverified):
    """This cannot be used for a verification."""

    code = "unusable"


class Tampered(Unverified):
    """It is not what was sealed.

    Context, where they are known: ``position`` of the first bad event and its ``stream``.
    """

    code = "tampered"
    verdict = Verdict.TAMPERED


class Forked(Unverified):
    """The log told two stories.

    Context: ``older`` and ``newer`` size and root.
    """

    code = "forked"
    verdict = Verdict.FORK


class PolicyNotMet(Unverified):
    """The policy does not accept this checkpoint."""

    code = "policy-not-met"
    verdict = Verdict.POLICY_NOT_MET
