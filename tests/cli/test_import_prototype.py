"""A dump of the prototype, imported: everything it said, under the ids of people, each record once."""

import asyncio
import json
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from ledger.cli.audit.database import verify_rows
from ledger.cli.operating import operator
from ledger.cli.prototype.clock import NoSuchTimeZone
from ledger.cli.prototype.command import NoBackup, NoSuchSubmitter, import_prototype
from ledger.cli.prototype.file import UnreadableDump
from ledger.cli.user import add
from ledger.command_handling.facts import state_of
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.authority import Role
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.state import Pending, Resolved, Status
from ledger.domain.ids import DecisionId
from ledger.identity import administering, people
from ledger.identity.identity import Identity
from ledger.identity.login import WrongCredentials, login
from ledger.identity.session_rows import Client
from ledger.store.ledger import LEDGER_ID, Ledger, account_stream
from ledger.store.streams import Stream, append, draft, read_stream
from ledger.verifier.beside import Kept
from tests.builders import submitted
from tests.support.dumps import a_decision, a_dump, a_user, an_answer, an_entry, an_escalation
from tests.support.events import by_somebody
from tests.support.service import PASSWORD

EVERY_EVENT = "select type, schema_version, actor, payload, envelope from ledger.events order by position"


@pytest.fixture
def imported(installed, tmp_path, capsys):
    """Import sections of a dump; the report and the exit code."""

    def run(*, timezone="Europe/Berlin", submitter=None, dry_run=False, **sections):
        file = a_dump(tmp_path, **sections)
        capsys.readouterr()
        exit_code = import_prototype(
            file,
            timezone=timezone,
            submitter=submitter,
            i_have_a_backup=file,
            dry_run=dry_run,
            json=True,
        )
        return json.loads(capsys.readouterr().out), exit_code

    return run


def rows(installed, statement):
    async def fetch():
        conn = await asyncpg.connect(installed.owner_url)
        try:
            return await conn.fetch(statement)
        finally:
            await conn.close()

    return asyncio.run(fetch())


def in_ledger(installed, ask):
    async def asked():
        async with await Ledger.open(installed.service_url) as ledger:
            return await ask(ledger)

    return asyncio.run(asked())


def decision(installed, decision_id="CANDI-1"):
    async def ask(ledger):
        return state_of(DECISION, await read_stream(ledger, ledger.decision_stream(DecisionId(decision_id))))

    return in_ledger(installed, ask)


def person(installed, username):
    async def ask(ledger):
        return await people.find(ledger.pool, LEDGER_ID, username)

    return in_ledger(installed, ask)


def account(installed, username):
    async def ask(ledger):
        found = await people.find(ledger.pool, LEDGER_ID, username)
        return state_of(ACCOUNT, await read_stream(ledger, account_stream(found.person)))

    return in_ledger(installed, ask)


def counts(report):
    names = ("imported", "already_there", "was_here", "bad")
    return {kind: tuple(count[name] for name in names) for kind, count in report["kinds"].items()}


def reasons(report):
    return {bad["place"]: bad["reason"] for bad in report["bad"]}


def test_what_the_prototype_kept_is_history_here(installed, imported):
    report, exit_code = imported(
        users=[a_user("ana"), a_user("ben", role="admin")],
        decisions=[a_decision()],
        responses=[an_answer()],
        audit_log=[an_entry()],
    )

    assert (exit_code, report["proven"]) == (0, True)
    assert counts(report) == {
        "users": (2, 0, 0, 0),
        "decisions": (1, 0, 0, 0),
        "responses": (1, 0, 0, 0),
        "audit_log": (1, 0, 0, 0),
    }
    made = decision(installed)
    assert isinstance(made, Resolved)
    assert made.answer.status is Status.APPROVED
    assert made.answer.decided_by == person(installed, "ana").person
    assert made.answer.decided_at == datetime(2025, 6, 1, 8, 30, tzinfo=UTC)
    assert made.case.submitted_at == datetime(2025, 6, 1, 8, 0, 0, 123456, tzinfo=UTC)
    assert [(row["type"], row["schema_version"], row["actor"]) for row in rows(installed, EVERY_EVENT)] == [
        ("account-registered", 1, "imported"),
        ("account-registered", 1, "imported"),
        ("decision-submitted", 1, "imported"),
        ("vote-cast", 1, "imported"),
        ("decision-resolved", 1, "imported"),
        ("audit-entry-imported", 1, "imported"),
    ]


def test_accounts_are_what_they_were(installed, imported):
    imported(users=[a_user("ana", role="viewer"), a_user("cy", is_active=False)])
    ana, cy = account(installed, "ana"), account(installed, "cy")

    assert (ana.role, ana.is_active) == (Role.VIEWER, True)
    assert ana.registered_at == datetime(2025, 1, 15, 7, 0, 0, 1, tzinfo=UTC)
    assert (cy.role, cy.is_active) == (Role.ANALYST, False)


def test_the_log_commits_to_names_and_does_not_hold_them(installed, imported):
    imported(
        users=[a_user("ana.maria", full_name="Ana Maria Nunez")],
        decisions=[a_decision()],
        responses=[an_answer(decided_by="ANA.maria")],
        audit_log=[
            an_entry("login of ana.maria", user="ana.maria", details={"by": "ana.maria", "ana.maria": 1}),
            an_entry(user="stranger9", details=["Ana  Maria Nunez <ana.maria@example.org>, again", None, 3]),
            an_entry(user=None, details={"email": "who@example.org", "username": "stranger9"}),
        ],
    )
    log = b"\n".join(row["payload"] + row["envelope"] for row in rows(installed, EVERY_EVENT)).lower()
    known = person(installed, "ana.maria")

    for name in (b"maria", b"nunez", b"example.org", b"stranger"):
        assert name not in log
    assert people.commitment(known.salt, known.record).encode() in log
    assert log.count(str(known.person).encode()) > 5


def test_an_import_may_be_repeated(installed, imported):
    sections = {
        "users": [a_user("ana"), a_user("cy", is_active=False)],
        "decisions": [a_decision(), a_decision("CANDI-2")],
        "responses": [an_escalation(), an_answer(), an_escalation("CANDI-2")],
        "audit_log": [an_entry(), an_entry(), an_entry(details=None)],
    }
    imported(**sections)
    before = rows(installed, EVERY_EVENT)
    report, exit_code = imported(**sections)

    assert (exit_code, report["proven"]) == (0, True)
    assert counts(report) == {
        "users": (0, 2, 0, 0),
        "decisions": (0, 2, 0, 0),
        "responses": (0, 3, 0, 0),
        "audit_log": (0, 3, 0, 0),
    }
    assert rows(installed, EVERY_EVENT) == before


def test_a_later_dump_adds_what_is_new(installed, imported):
    imported(users=[a_user()], decisions=[a_decision()], audit_log=[an_entry()])
    report, _ = imported(
        users=[a_user()],
        decisions=[a_decision(), a_decision("CANDI-2")],
        responses=[an_answer()],
        audit_log=[an_entry(), an_entry()],
    )

    assert counts(report) == {
        "users": (0, 1, 0, 0),
        "decisions": (1, 1, 0, 0),
        "responses": (1, 0, 0, 0),
        "audit_log": (1, 1, 0, 0),
    }
    assert report["proven"]


def test_what_was_escalated_may_have_been_decided(installed, imported):
    imported(
        users=[a_user("ana"), a_user("ben")],
        decisions=[a_decision(), a_decision("CANDI-2")],
        responses=[an_escalation(), an_answer(decided_by="ben", status="rejected"), an_escalation("CANDI-2")],
    )
    made, waiting = decision(installed), decision(installed, "CANDI-2")

    assert made.answer.status is Status.REJECTED
    assert made.case.level == 1
    assert isinstance(waiting, Pending)
    assert waiting.case.escalation.escalation_reason == "Ask the lead."


def test_a_bad_record_is_told_with_its_place_and_the_rest_goes_in(installed, imported):
    report, exit_code = imported(
        users=[
            a_user(),
            {"username": "no"},
            a_user("ed", role="king"),
            a_user("fay", created_at="2025-01-01"),
            a_user("ANA", role="admin"),
        ],
        decisions=[
            a_decision(),
            a_decision("CANDI-2", confidence=101),
            a_decision("CANDI-3", forensic_summary="a\0b"),
            a_decision("CANDI-4", created_at="1815-06-18T12:00:00"),
            a_decision("a/b"),
            a_decision("CANDI-5", colour="red"),
            a_decision("CANDI-1", priority="low"),
            a_decision("CANDI-6", iocs=["⟦sealed:v1:"]),
        ],
        responses=[
            an_answer("CANDI-9"),
            an_answer(decided_at="soon"),
            an_answer(),
            an_answer(notes="Again."),
            an_answer(approved_actions=["dance"]),
            17,
        ],
        audit_log=[an_entry(timestamp="late")],
    )

    assert (exit_code, report["proven"]) == (2, True)
    assert counts(report) == {
        "users": (1, 0, 0, 4),
        "decisions": (1, 0, 0, 7),
        "responses": (1, 0, 0, 5),
        "audit_log": (0, 0, 0, 1),
    }
    told = reasons(report)
    assert "missing required field" in told["/users/1"]
    assert "Invalid enum value 'king'" in told["/users/2"]
    assert told["/users/3"] == "created_at is no time: '2025-01-01'"
    assert told["/decisions/2"] == "it holds a character that cannot be stored"
    assert "lies outside the years 1970 to 2199" in told["/decisions/3"]
    assert "unknown field `colour`" in told["/decisions/5"]
    assert told["/decisions/6"] == "the dump has another one of this name before it"
    assert told["/decisions/7"] == "it holds what looks like sealed text"
    assert told["/responses/0"] == "it answers no decision that is in the ledger"
    assert told["/responses/1"] == "decided_at is no time: 'soon'"
    assert told["/responses/3"] == "the decision has been made already"
    assert {"/users/1", "/decisions/1", "/decisions/4", "/responses/4", "/responses/5", "/audit_log/0"} < set(
        told
    )


def test_a_part_that_the_prototype_never_had_is_told(imported):
    report, exit_code = imported(users=[a_user()], sessions=[])

    assert exit_code == 2
    assert reasons(report) == {"/sessions": "the prototype had no such list"}


def test_a_dry_run_says_the_same_and_writes_nothing(installed, imported):
    sections = {
        "users": [a_user(), a_user("cy", is_active=False)],
        "decisions": [a_decision()],
        "responses": [
            an_escalation(decided_by="zoe"),
            an_answer(),
            an_answer(),
            an_answer(notes="Again."),
            an_answer("CANDI-9"),
        ],
        "audit_log": [an_entry(user="yan")],
    }
    dry, exit_code = imported(**sections, dry_run=True)

    assert exit_code == 2
    assert rows(installed, EVERY_EVENT) == []
    assert rows(installed, "select from work.people") == []
    real, _ = imported(**sections)
    assert counts(dry) == counts(real)
    assert reasons(dry) == reasons(real)
    assert dry["by_name_only"] == real["by_name_only"] == 2
    again, _ = imported(**sections, dry_run=True)
    assert counts(again)["responses"] == (0, 3, 0, 2)


def test_without_a_backup_nothing_is_imported(installed, tmp_path):
    file, empty = a_dump(tmp_path, users=[a_user()]), tmp_path / "empty"
    empty.touch()
    for backup in (None, empty, tmp_path / "nowhere"):
        with pytest.raises(NoBackup):
            import_prototype(file, i_have_a_backup=backup)

    assert rows(installed, EVERY_EVENT) == []


@pytest.mark.parametrize("content", [b"", b"[]", b'{"users": 1}', b'{"users": [}', b"\xff{}"])
def test_what_is_no_dump_is_refused(tmp_path, content):
    file = tmp_path / "dump.json"
    file.write_bytes(content)

    with pytest.raises(UnreadableDump):
        import_prototype(file, dry_run=True)


def test_a_file_that_is_not_there_is_no_dump(tmp_path):
    with pytest.raises(UnreadableDump):
        import_prototype(tmp_path / "nowhere.json", dry_run=True)


def test_a_zone_that_nobody_knows_is_refused(tmp_path):
    with pytest.raises(NoSuchTimeZone):
        import_prototype(a_dump(tmp_path), timezone="Atlantis/Harbour", dry_run=True)


def test_times_are_utc_and_assumed_unless_a_zone_is_named(installed, imported):
    assumed, _ = imported(timezone=None, decisions=[a_decision()])
    named, _ = imported(
        timezone="-03:30",
        decisions=[a_decision("CANDI-2"), a_decision("CANDI-3", created_at="2025-06-01T10:00:00Z")],
    )

    assert (assumed["time_zone"], assumed["time_zone_is_assumed"]) == ("UTC", True)
    assert (named["time_zone"], named["time_zone_is_assumed"]) == ("-03:30", False)
    moments = [decision(installed, f"CANDI-{number}").case.created_at for number in (1, 2, 3)]
    assert moments == [
        datetime(2025, 6, 1, 10, 0, 0, 123456, tzinfo=UTC),
        datetime(2025, 6, 1, 13, 30, 0, 123456, tzinfo=UTC),
        datetime(2025, 6, 1, 10, 0, 0, tzinfo=UTC),
    ]


def test_each_time_has_the_offset_of_its_own_season(installed, imported):
    imported(
        decisions=[
            a_decision("CANDI-1", created_at="2025-01-15T12:00:00"),
            a_decision("CANDI-2", created_at="2025-07-15T12:00:00"),
        ]
    )

    assert [decision(installed, f"CANDI-{number}").case.created_at.hour for number in (1, 2)] == [11, 10]


def test_an_account_that_is_here_already_is_kept_and_answers_for_its_name(installed, imported, capsys):
    add("ana", email="ana@example.org", full_name="Ana", role=Role.ADMIN, generate=True)
    report, exit_code = imported(users=[a_user("Ana")], decisions=[a_decision()], responses=[an_answer()])

    assert (exit_code, report["proven"]) == (0, True)
    assert counts(report)["users"] == (0, 0, 1, 0)
    assert account(installed, "ana").role is Role.ADMIN
    assert decision(installed).answer.decided_by == person(installed, "ana").person


def test_a_decision_that_is_here_already_is_left_alone(installed, imported):
    imported(decisions=[a_decision()])
    report, _ = imported(decisions=[a_decision(priority="low")])

    assert counts(report)["decisions"] == (0, 0, 0, 1)
    assert reasons(report) == {"/decisions/0": "it was imported before, and said something else then"}
    assert decision(installed).case.priority == "high"


def test_a_decision_that_somebody_else_submitted_is_not_written_over(installed, imported):
    async def submit(ledger):
        stream = Stream(name=ledger.decision_stream(DecisionId("CANDI-1")), events=())
        await append(ledger, draft(stream, [submitted(decision_id="CANDI-1")], by_somebody()))

    in_ledger(installed, submit)
    report, _ = imported(decisions=[a_decision()])

    assert reasons(report) == {"/decisions/0": "another decision of this id is in the ledger"}


def test_a_name_without_an_account_can_become_one(installed, imported):
    first, _ = imported(
        users=[a_user(role="king")], decisions=[a_decision()], responses=[an_answer(decided_by="ANA")]
    )
    assert first["by_name_only"] == 1
    by = person(installed, "ana").person
    report, exit_code = imported(
        users=[a_user()], decisions=[a_decision()], responses=[an_answer(decided_by="ANA")]
    )

    assert (exit_code, report["proven"]) == (0, True)
    assert person(installed, "ana").record.email == "ana@example.org"
    assert account(installed, "ana").person == by
    known = person(installed, "ana")
    log = b"".join(row["payload"] for row in rows(installed, EVERY_EVENT))
    assert people.commitment(known.salt, known.record).encode() in log
    report = verify_rows(None)
    assert (report.found, report.kept) == ([], Kept(names=1)), "what the log commits to is what verifies"


def test_submissions_can_be_ascribed_to_an_account(installed, imported):
    imported(decisions=[a_decision()])
    add("engine", email="engine@example.org", full_name="", role=Role.SERVICE, generate=True)
    imported(decisions=[a_decision("CANDI-2")], submitter="engine")

    assert decision(installed).case.submitted_by == UUID(int=0)
    assert decision(installed, "CANDI-2").case.submitted_by == person(installed, "engine").person
    with pytest.raises(NoSuchSubmitter):
        imported(decisions=[], submitter="nobody")


def test_nobodys_password_is_imported_and_an_administrator_gives_a_new_one(installed, imported):
    imported(users=[a_user()])

    async def log_in_with_a_new_password(ledger):
        identity = Identity.of(ledger, secret_keys=["x" * 40])
        client = Client(address="198.51.100.7", user_agent="test")
        with pytest.raises(WrongCredentials):
            await login(identity, username="ana", password=PASSWORD, client=client)
        await administering.change_password(identity, "ana", operator(), new_password=PASSWORD)
        return await login(identity, username="ana", password=PASSWORD, client=client)

    assert in_ledger(installed, log_in_with_a_new_password)


def test_a_log_that_says_something_else_is_not_proven(installed, imported):
    sections = {"decisions": [a_decision(), a_decision("CANDI-2")]}
    imported(**sections)
    rows(
        installed,
        "update ledger.events set payload = convert_to(replace(convert_from(payload, 'UTF8'), '61 s', '62 s'), 'UTF8')"
        " where position = 1",
    )
    report, exit_code = imported(**sections)

    assert (exit_code, report["proven"]) == (1, False)
    assert report["kinds"]["decisions"]["digest"] != report["kinds"]["decisions"]["found"]


def test_people_read_the_report(installed, tmp_path, capsys):
    file = a_dump(tmp_path, users=[a_user()], audit_log=[an_entry(user="zoe"), an_entry(timestamp="\x1b[1m")])
    import_prototype(file, dry_run=True)
    dry = capsys.readouterr()
    import_prototype(file, i_have_a_backup=file)
    real = capsys.readouterr()

    assert "Nothing was written: this is what would happen." in dry.out
    assert "Local times were read as UTC, which nobody named." in real.out
    assert "users      1 in the dump: 1 imported, 0 already there, 0 bad" in real.out
    assert "1 persons are known by name only" in real.out
    assert "Proven: the ledger says what the dump said." in real.out
    assert "/audit_log/1: timestamp is no time: '\\x1b[1m'" in real.err
