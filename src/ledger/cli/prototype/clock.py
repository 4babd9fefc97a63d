"""The prototype's clock: local times without an offset, read in a zone that somebody named, or as UTC."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ledger.cli.prototype.file import NotImportable
from ledger.domain.errors import Invalid

FIXED: Final = re.compile(r"([+-])(\d\d):(\d\d)")
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


class NoSuchTimeZone(Invalid):
    """There is no such time zone here."""

    code = "no-such-time-zone"
    advice = "Name one like Europe/Berlin, or an offset like +01:00."


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """A zone, by the name it was given; ``is_assumed``: nobody named it."""

    name: str
    zone: tzinfo
    is_assumed: bool

    @classmethod
    def of(cls, name: str | None) -> Self:
        """Find a zone by name or offset; ``None`` is UTC, assumed.

        Raises:
            NoSuchTimeZone: it is not known on this machine.
        """
        if name is None:
            return cls(name="UTC", zone=UTC, is_assumed=True)
        try:
            return cls(name=name, zone=_fixed(name) or ZoneInfo(name), is_assumed=False)
        except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
            raise NoSuchTimeZone(name=name) from unknown

    def moment(self, field: str, local: str) -> datetime:
        """Read a time: by its own offset, or as the clock stood; of two alike, when clocks went back, the first.

        Raises:
            NotImportable: it is no time, or lies outside the years 1970 to 2199.
        """
        try:
            read = datetime.fromisoformat(local if ":" in local else "a day is no time")
            moment = read if read.tzinfo else read.replace(tzinfo=self.zone)
            is_within = EARLIEST <= moment < LATEST
        except (ValueError, OverflowError) as wrong:
            raise NotImportable(f"{field} is no time: {local[:40]!r}") from wrong
        if not is_within:
            raise NotImportable(f"{field} lies outside the years 1970 to 2199: {local[:40]}")
        return moment

    def offsets(self, field: str, local: str) -> dict[str, str]:
        """Find the offset of a local time, under the name of its field; none for a time that has its own.

        Raises:
            NotImportable: as ``moment``.
        """
        moment = self.moment(field, local)
        if datetime.fromisoformat(local).tzinfo:
            return {}
        return {field: moment.isoformat().removeprefix(moment.replace(tzinfo=None).isoformat())}


def _fixed(name: str) -> tzinfo | None:
    found = FIXED.fullmatch(name)
    if found is None:
        return None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-offset if found[1] == "-" else offset)
