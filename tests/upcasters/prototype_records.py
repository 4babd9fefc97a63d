"""Version 1 payloads of every shape that the prototype allowed, for hypothesis."""

from datetime import datetime, timedelta, timezone

import msgspec
from hypothesis import strategies as st

from ledger.domain.authority import Role
from ledger.domain.decision.events import Priority
from ledger.domain.terms import Action
from ledger.upcasters.prototype import (
    AnswerReading,
    Deactivation,
    DeactivationReading,
    EscalationAnswer,
    Registration,
    RegistrationReading,
    Submission,
    SubmissionReading,
    VerdictAnswer,
    VoteAnswer,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
lists = st.lists(texts, max_size=4).map(tuple)
people = st.uuids().map(str)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
FIRST = datetime(1970, 1, 2)  # noqa: DTZ001 - hypothesis adds the offset, or none
LAST = datetime(2199, 12, 30)  # noqa: DTZ001 - as above
times = st.datetimes(min_value=FIRST, max_value=LAST, timezones=st.none() | offsets)


def offset_of(moment):
    """Write an offset as ISO 8601 does."""
    return moment.isoformat()[-6:]


@st.composite
def readings(draw, kind, field, **more):
    """How a local time was read, and the time."""
    moment = draw(times)
    known = {} if moment.tzinfo else {field: offset_of(moment.replace(tzinfo=draw(offsets)))}
    reading = kind(
        time_zone=draw(st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Auckland"])),
        is_assumed=draw(st.booleans()),
        offsets=known,
        **{name: draw(strategy) for name, strategy in more.items()},
    )
    return moment, reading


@st.composite
def submissions(draw):
    moment, reading = draw(readings(SubmissionReading, "created_at", submitted_by=people))
    return moment, Submission(
        analysis_id=draw(st.text("ABC-123", min_size=1, max_size=20)),
        incident_id=draw(st.none() | texts),
        threat_level=draw(texts),
        source_ip=draw(texts),
        attributed_actor=draw(st.none() | texts),
        confidence=draw(st.floats(0, 100)),
        iocs=draw(lists),
        ttps=draw(lists),
        recommended_actions=draw(lists),
        forensic_summary=draw(texts),
        priority=draw(st.sampled_from(Priority)).value,
        created_at=moment.isoformat(),
        imported=reading,
    )


@st.composite
def answers(draw, kind, statuses):
    moment, reading = draw(
        readings(AnswerReading, "decided_at", subject_digest=digests, level=st.integers(0, 3))
    )
    return moment, kind(
        decision_id=draw(texts),
        status=draw(st.sampled_from(statuses)),
        approved_actions=tuple(
            action.value for action in draw(st.lists(st.sampled_from(Action), max_size=4))
        ),
        notes=draw(st.none() | texts),
        decided_by=draw(people),
        decided_at=moment.isoformat(),
        escalation_reason=draw(st.none() | texts),
        imported=reading,
    )


votes = answers(VoteAnswer, ["approved", "rejected"])
verdicts = answers(VerdictAnswer, ["approved", "rejected"])
escalations = answers(EscalationAnswer, ["escalated"])


@st.composite
def registrations(draw):
    moment, reading = draw(readings(RegistrationReading, "created_at", commitment=digests))
    return moment, Registration(
        person=draw(people),
        role=draw(st.sampled_from([Role.ADMIN, Role.ANALYST, Role.VIEWER])).value,
        is_active=draw(st.booleans()),
        created_at=moment.isoformat(),
        imported=reading,
    )


@st.composite
def deactivations(draw):
    moment = draw(st.datetimes(min_value=FIRST, max_value=LAST, timezones=offsets))
    reading = DeactivationReading(time_zone="UTC", is_assumed=True, offsets={}, seen_at=moment.isoformat())
    return moment, Deactivation(person=draw(people), is_active=False, imported=reading)


def stored(record):
    """Write a record as a ledger holds it."""
    return msgspec.json.encode(record)


def as_utc(moment, record, field):
    """Say which moment a record's local time was."""
    if moment.tzinfo:
        return moment
    return datetime.fromisoformat(moment.isoformat() + record.imported.offsets[field])
