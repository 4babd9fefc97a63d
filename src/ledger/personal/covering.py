"""What is stored of a command on a decision: its personal texts as tokens, its request known by a digest of theirs."""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import msgspec
from msgspec.structs import replace

from ledger.domain.decision.commands import (
    AttachEvidence,
    DecisionCommand,
    ProvideInformation,
    SubmitDecision,
)
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.item import Item
from ledger.domain.decision.personal import covered, subject_of
from ledger.domain.decision.state import Case, DecisionState, NotSubmitted
from ledger.domain.errors import Corrupt, RuleViolation
from ledger.domain.ids import EventId, StreamName, SubjectKeyId
from ledger.domain.terms import Policy
from ledger.identity.identity import Identity
from ledger.personal.keys import KeptKey, kept_keys, key_for
from ledger.personal.misses import tell_misses
from ledger.personal.tokens import MARK, TOKEN, Form, SubjectKey, Token, field_name, seal
from ledger.store.envelope import Provenance
from ledger.store.streams import event_ids

REQUEST: Final = b"ledger-kr/v1"
"""What the key of request digests is derived for: nothing is authenticated and encrypted under one key."""


class SubjectErased(RuleViolation):
    """Whom this decision is about has been erased: nothing personal can be added to it.

    Context: ``decision_id``.
    """

    code = "subject-erased"
    advice = "Leave the text out, or send the word 'erased' where one is needed; what is not marked is taken as ever."


class AnotherSubject(RuleViolation):
    """A decision stays about whom it was submitted.

    Context: ``decision_id``.
    """

    code = "another-subject"
    advice = "Withdraw it, and submit an item about the other one."


class SubjectKeyUnreadable(Corrupt):
    """The key of whom this decision is about was wrapped with another secret key than this service has."""

    code = "subject-key-unreadable"
    advice = "An operator has to name the earlier key in LEDGER_PREVIOUS_SECRET_KEYS: run 'ledger doctor'."


class Covering(msgspec.Struct, frozen=True):
    """The cover of commands on the decision of one stream; what its policy does not mark costs nothing."""

    identity: Identity
    stream: StreamName

    async def __call__(
        self, state: DecisionState, command: DecisionCommand, provenance: Provenance
    ) -> tuple[DecisionCommand, Provenance]:
        """Seal what is personal; what would be refused is refused before a key is made or looked for.

        Raises:
            LedgerError: the decider's refusal.
            SubjectMissing: the payload does not say whom it is about.
            SubjectErased: there is something personal, and no key to seal it under any more.
            AnotherSubject: the answer's payload is about somebody else.
            SubjectKeyUnreadable: there is a key, and no secret key of this service unwraps it.
        """
        case = None if isinstance(state, NotSubmitted) else state.case
        if isinstance(command, SubmitDecision):
            if not command.policy.personal:
                return command, provenance
            DECISION.decide(command, state)
            return await self._submission(command, provenance)
        if case is None or not _needs_key(command, case.policy):
            return command, provenance
        DECISION.decide(command, state)
        key = await self._key_of(case, command)
        sealer = _Sealer(key=key, event=event_ids(provenance, 1)[0], known=_known(case.item, key))
        return covered(command, case.policy, sealer), _told(provenance, key)

    async def _submission(
        self, command: SubmitDecision, provenance: Provenance
    ) -> tuple[DecisionCommand, Provenance]:
        ledger, keyring, policy = self.identity.ledger, self.identity.subject_keys, command.policy
        subject = ledger.data_subject(subject_of(command.item, policy, command.decision_id))
        key = await key_for(ledger, keyring, subject, stream=self.stream, now=command.now)
        sealer = _Sealer(key=key, event=event_ids(provenance, 1)[0])
        tell_misses(command.item, policy)
        sealed = covered(replace(command, sealed_under=key.key_id), policy, sealer)
        return sealed, _told(provenance, key)

    async def _key_of(self, case: Case, command: DecisionCommand) -> SubjectKey:
        ledger = self.identity.ledger
        ids = () if case.sealed_under is None else (case.sealed_under,)
        kept = next(iter(await kept_keys(ledger, self.identity.subject_keys, ids)), None)
        if kept is None:
            raise SubjectErased(decision_id=case.decision_id)
        if isinstance(command, ProvideInformation) and command.item is not None:
            self._must_be_about(kept, command.item, case)
            tell_misses(command.item, case.policy)
        if kept.key is None:
            raise SubjectKeyUnreadable
        return kept.key

    def _must_be_about(self, kept: KeptKey, item: Item, case: Case) -> None:
        subject = self.identity.ledger.data_subject(subject_of(item, case.policy, case.decision_id))
        if subject != kept.subject:
            raise AnotherSubject(decision_id=case.decision_id)


def needs_no_key(command: DecisionCommand) -> bool:
    """Say whether a submission can be stored without a key, which would be made for one that turns out to be refused."""
    return isinstance(command, SubmitDecision) and not command.policy.personal


class _Sealer(msgspec.Struct, frozen=True, kw_only=True):
    """Seals for the first event of one command; what is ``known`` as it is keeps its token."""

    key: SubjectKey
    event: EventId
    known: Mapping[tuple[str, Form, str], str] = {}

    def text(self, field: str, text: str) -> str:
        return self._sealed(field, Form.TEXT, text)

    def value(self, field: str, json: str) -> str:
        return self._sealed(field, Form.JSON, json)

    def _sealed(self, field: str, form: Form, text: str) -> str:
        known = self.known.get((field_name(field), form, text))
        return known or seal(self.key, self.event, field, form, text)


class _Probe(msgspec.Struct):
    """Covers nothing, and notes whether there was something to cover."""

    has_found: bool = False

    def text(self, field: str, text: str) -> str:
        del field
        self.has_found = True
        return text

    def value(self, field: str, json: str) -> str:
        del field
        self.has_found = True
        return json


def _needs_key(command: DecisionCommand, policy: Policy) -> bool:
    """Say whether there is something to seal, or a file, whose content goes with the key."""
    if not policy.personal:
        return False
    if isinstance(command, AttachEvidence):
        return True
    probe = _Probe()
    covered(command, policy, probe)
    return probe.has_found


def _known(item: Item, key: SubjectKey) -> dict[tuple[str, Form, str], str]:
    """Say which tokens stand for what, so that an item that comes again as it was stays the same subject."""
    text = msgspec.json.encode(item).decode()
    tokens = {found[0]: Token.of(found) for found in TOKEN.finditer(text)} if MARK in text else {}
    return {
        (token.field, token.form, opened): written
        for written, token in tokens.items()
        if (opened := token.opened(key)) is not None
    }


def _told(provenance: Provenance, key: SubjectKey) -> Provenance:
    if not provenance.request:
        return provenance
    return replace(provenance, request=keyed_request(key, provenance.request))


def keyed_request(key: SubjectKey, request: str) -> str:
    """Know a request again by a digest that says nothing once the key is gone."""
    secret = sha256(REQUEST + key.secret).digest()
    return f"{key.key_id}:{hmac.new(secret, request.encode(), sha256).hexdigest()}"


async def is_same_request(identity: Identity, stored: str, request: str) -> bool:
    """Say whether a stored digest is of this request; where its key is gone, nobody can say that it is not."""
    named, is_keyed, _ = stored.partition(":")
    if not is_keyed:
        return False
    kept = next(iter(await kept_keys(identity.ledger, identity.subject_keys, [SubjectKeyId(named)])), None)
    if kept is None or kept.key is None:
        return True
    return hmac.compare_digest(stored, keyed_request(kept.key, request))
