"""Failed attempts on their way into the log: summed up by person, so that a guesser cannot fill it.

They are noted here and written behind the answers (``ledger.reactions.failed_logins``): an answer that waited for
that would tell by its time whether there is such a person.
"""

from datetime import datetime
from typing import assert_never

import msgspec

from ledger.domain.ids import PersonId
from ledger.domain.login.commands import LoginCommand, RecordFailures, RecordLockOut
from ledger.domain.login.decide import TOLD_EVERY


class _Tally(msgspec.Struct, kw_only=True):
    """What failed since ``since``; its sum is not asked for before ``due``."""

    since: datetime
    due: datetime
    passwords: int = 0
    codes: int = 0
    locked_until: datetime | None = None


class FailedLogins:
    """Collects failures until they are taken."""

    def __init__(self) -> None:
        """Begin with none."""
        self._tallies: dict[PersonId, _Tally] = {}

    def wrong_password(self, person: PersonId, now: datetime) -> None:
        """Note a wrong password."""
        self._tally(person, now).passwords += 1

    def wrong_code(self, person: PersonId, now: datetime) -> None:
        """Note a wrong code of a second factor."""
        self._tally(person, now).codes += 1

    def locked_out(self, person: PersonId, now: datetime, until: datetime) -> None:
        """Note that a limit is reached."""
        tally = self._tally(person, now)
        tally.locked_until = max(until, tally.locked_until or until)

    def take(self, now: datetime) -> tuple[LoginCommand, ...]:
        """Take what is to be told: lock-outs at once, failures as a sum at most once a minute."""
        commands = list[LoginCommand]()
        for person, tally in tuple(self._tallies.items()):
            if tally.locked_until is not None:
                commands.append(RecordLockOut(now=now, person=person, until=tally.locked_until))
                tally.locked_until = None
            if tally.due <= now:
                del self._tallies[person]
                if tally.passwords or tally.codes:
                    commands.append(_sum(person, tally, now))
                    self._tallies[person] = _Tally(since=now, due=now + TOLD_EVERY)
        return tuple(commands)

    def give_back(self, command: LoginCommand) -> None:
        """Keep what could not be told, for the next time."""
        match command:
            case RecordLockOut():
                self.locked_out(command.person, command.now, command.until)
            case RecordFailures():
                tally = self._tally(command.person, command.now)
                tally.since = command.since
                tally.passwords += command.passwords
                tally.codes += command.codes
            case _:
                assert_never(command)

    def _tally(self, person: PersonId, now: datetime) -> _Tally:
        return self._tallies.setdefault(person, _Tally(since=now, due=now))


def _sum(person: PersonId, tally: _Tally, now: datetime) -> RecordFailures:
    return RecordFailures(
        now=now, person=person, passwords=tally.passwords, codes=tally.codes, since=tally.since
    )
