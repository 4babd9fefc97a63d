"""``ledger audit monitor``: remembers what a log said, and notices when it says something else."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import httpx2
from cyclopts import Parameter

from ledger.cli.audit.command import PolicyFile, read_file, seconds
from ledger.cli.refusals import printable
from ledger.verifier.checkpoint import Checkpoint, parse_checkpoint
from ledger.verifier.policy import Accepted, NoQuorum, Policy, accepted, check_age, check_quorum, parse_policy
from ledger.verifier.verdict import Forked, Tampered, Unusable, Unverified, Verdict
from ledger.verifier.watch import Fetch, Shown, check_goes_on, shown
from ledger.verifier.witnessed import last_witnessed

LAST: Final = "checkpoint"
ANSWER_SECONDS: Final = 30.0
WITNESSED_WITHIN: Final = 600
"""Seconds: how long the newest checkpoints may wait for witnesses, where --max-age says nothing else."""


class LogUnreachable(Unusable):
    """The log does not answer as a log does."""

    code = "log-unreachable"


class NoAddress(Unusable):
    """A log is named by a URL like https://ledger.example."""

    code = "no-address"


class StateUnwritable(Unusable):
    """What was seen cannot be remembered."""

    code = "state-unwritable"


def monitor(
    url: Annotated[str, Parameter(help="Where the service is, like https://ledger.example.")],
    *,
    state: Annotated[
        Path, Parameter(help="The folder that remembers the last checkpoint; made when missing.")
    ],
    policy: PolicyFile = None,
    every: Annotated[str, Parameter(help="How often to look, like 30s or 5m.")] = "1m",
    max_age: Annotated[
        str | None, Parameter(help="Complain when no witness has seen the log for so long, like 1h.")
    ] = None,
    once: Annotated[bool, Parameter(negative="", help="Look once and end.")] = False,
) -> int:
    """Watch the log of the service at URL for good: whatever it says has to go on from what it said before.

    A log that is not public asks for the access token in LEDGER_TOKEN. What cannot be reached is looked for again; a fork
    ends the watch, with both checkpoints kept as evidence.

    Exit codes: 0 (with --once) all is well, 1 not usable or not reachable, 2 tampered, 3 a fork, 4 (with --once) the policy is
    not met, 5 (with --once, without a policy) consistent, but nobody looked whose signature it is.
    """
    try:
        watch = _Watch(state, None if policy is None else parse_policy(read_file(policy)), max_age)
        pause = seconds(every)
        if policy is None:
            _say("No policy is named: nobody looks whose signatures the checkpoints bear (--policy)")
        with _client(url) as client:
            while True:
                verdict = watch.look(_fetch_from(client))
                if once or verdict in {Verdict.TAMPERED, Verdict.FORK}:
                    return verdict
                time.sleep(pause)
    except Unverified as wrong:
        _say(_sentence(wrong))
        return wrong.verdict


class _Watch:
    def __init__(self, state: Path, policy: Policy | None, max_age: str | None) -> None:
        self._state = state
        self._policy = policy
        self._max_age = None if max_age is None else seconds(max_age)
        self._witnessed = 0
        """The second at which a witness last saw the log, at a size that enough of them saw; 0: not known."""

    def look(self, fetch: Fetch) -> Verdict:
        """Look once, and say what was found; what is worth knowing is remembered."""
        last, seen = self._last(), None
        try:
            seen = shown(fetch, self._policy)
            if last is not None:
                check_goes_on(last, seen.checkpoint, fetch)
        except Unverified as wrong:
            _say(_sentence(wrong))
            if seen is not None and isinstance(wrong, Forked | Tampered):
                self._keep_evidence(read_file(self._state / LAST), seen)
            return wrong.verdict
        self._write(self._state / LAST, seen.raw)
        _say(_news(last, seen.checkpoint))
        return self._verdict(seen, fetch, since=0 if last is None else last.size)

    def _verdict(self, seen: Shown, fetch: Fetch, *, since: int) -> Verdict:
        if seen.by is None or self._policy is None:
            return Verdict.INCOMPLETE
        try:
            self._check_witnessed(self._policy, seen, seen.by, fetch, since)
        except Unverified as wrong:
            _say(_sentence(wrong))
            return wrong.verdict
        return Verdict.VERIFIED

    def _check_witnessed(self, policy: Policy, seen: Shown, by: Accepted, fetch: Fetch, since: int) -> None:
        """Check that enough witnesses saw the log, and lately; the newest checkpoint of a busy one waits for them."""
        newest, max_age = by.newest(), self._max_age
        try:
            check_quorum(policy, by)
            self._witnessed = newest or 0
        except NoQuorum:
            self._look_back(policy, seen, fetch, since)
            if not self._witnessed:
                raise
            newest, max_age = self._witnessed, max_age or WITNESSED_WITHIN
        if max_age is not None:
            check_age(newest, now=int(time.time()), max_age=max_age)

    def _look_back(self, policy: Policy, seen: Shown, fetch: Fetch, since: int) -> None:
        try:
            found = last_witnessed(fetch, policy, seen.checkpoint, since)
        except Unusable as wrong:
            _say(_sentence(wrong))
            return
        if found is None or found.by is None:
            return
        try:
            check_goes_on(found.checkpoint, seen.checkpoint, fetch)
        except (Forked, Tampered):
            self._keep_evidence(found.raw, seen)
            raise
        self._witnessed = max(self._witnessed, found.by.newest() or 0)
        _say(f"Enough witnesses saw it at {found.checkpoint.size} events; the newest waits for them")

    def _last(self) -> Checkpoint | None:
        path = self._state / LAST
        if not path.exists():
            return None
        last = parse_checkpoint(read_file(path))
        if self._policy is not None:
            accepted(self._policy, last, with_quorum=False)
        return last

    def _keep_evidence(self, older: bytes, seen: Shown) -> None:
        folder = self._state / f"evidence-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
        self._write(folder / "older.checkpoint", older)
        self._write(folder / "newer.checkpoint", seen.raw)
        _say(f"Both checkpoints are kept in {folder}")

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file so that it is there whole, or not at all, whatever happens."""
        aside = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except OSError as lost:
            raise StateUnwritable(file=str(path), reason=lost.strerror) from lost


def _client(url: str) -> httpx2.Client:
    """Make a client of the log.

    Raises:
        NoAddress: there is nothing to reach by that, now or later.
    """
    split = urlsplit(url)
    if split.scheme not in {"http", "https"} or not split.netloc:
        raise NoAddress(given=url)
    token = os.environ.get("LEDGER_TOKEN")
    return httpx2.Client(
        base_url=f"{url.rstrip('/')}/tlog/",
        timeout=ANSWER_SECONDS,
        headers={"Cache-Control": "no-cache"} | ({"Authorization": f"Bearer {token}"} if token else {}),
    )


def _fetch_from(client: httpx2.Client) -> Fetch:
    def fetch(path: str, most: int) -> bytes:
        content = b""
        try:
            with client.stream("GET", path) as answer:
                if answer.status_code != httpx2.codes.OK:
                    raise LogUnreachable(url=answer.url, status=answer.status_code)
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > most:
                        raise LogUnreachable(url=answer.url, reason=f"it has more than {most} bytes")
        except (httpx2.HTTPError, httpx2.InvalidURL) as lost:
            url = client.base_url.join(path)
            raise LogUnreachable(url=url, reason=str(lost) or type(lost).__name__) from lost
        return content

    return fetch


def _news(last: Checkpoint | None, newer: Checkpoint) -> str:
    if last is None:
        return f"Seen for the first time: {newer.size} events of {newer.origin}"
    if last.size == newer.size:
        return f"Unchanged: {newer.size} events"
    return f"It goes on: {newer.size} events, {newer.size - last.size} more"


def _sentence(wrong: Unverified) -> str:
    return f"{wrong} [{wrong.code}]"


def _say(sentence: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {printable(sentence)}", flush=True)
