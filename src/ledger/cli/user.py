"""``ledger user``: accounts, for whoever may run commands on this machine."""

import asyncio
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from getpass import getpass
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from ledger.api.account_wire import EMAIL, USER_NAME
from ledger.cli.operating import operating, operator
from ledger.cli.tables import print_json, print_table
from ledger.command_handling.facts import state_of
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import Registered
from ledger.domain.authority import Role
from ledger.domain.errors import Invalid
from ledger.domain.event import Utc
from ledger.identity import administering, factor_changes, people, registering
from ledger.identity.guessable import is_guessable_password
from ledger.identity.people import Person, Record
from ledger.store.ledger import Ledger, account_stream
from ledger.store.streams import read_streams

GENERATED_BYTES: Final = 18
SHORTEST_PASSWORD: Final = 8
LONGEST_PASSWORD: Final = 1000
PAGE: Final = 100


class AccountRefused(Invalid):
    """What was said about the account is not right, or not all."""

    code = "account-refused"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, as ``user list`` shows them."""

    username: str
    role: Role | None
    is_active: bool
    is_lead: bool
    groups: tuple[str, ...]
    second_factor: bool
    full_name: str
    email: str
    registered_at: Utc


def add(
    username: str,
    *,
    email: Annotated[str | None, Parameter(help="Their address; asked for if it is left out.")] = None,
    full_name: Annotated[str | None, Parameter(help="Their name; asked for if it is left out.")] = None,
    role: Annotated[Role, Parameter(help="What the account is for.")] = Role.ANALYST,
    password_stdin: Annotated[
        bool, Parameter(negative="", help="Read the password from standard input: its first line.")
    ] = False,
    generate: Annotated[bool, Parameter(negative="", help="Make a password up and print it, once.")] = False,
) -> int:
    """Let somebody in; what no option says is asked for on a terminal."""
    of_passwords = () if password_stdin or generate else ("--password-stdin or --generate",)
    email, full_name = _asked_for({"--email": email, "--full-name": full_name}, of_passwords)
    problems = dict(_problems(username, email, full_name))
    if password_stdin and generate:
        problems["password"] = "--password-stdin and --generate exclude each other"  # noqa: S105 - a sentence
    if problems:
        raise AccountRefused(**problems)
    password = _password(from_stdin=password_stdin, generate=generate)
    if is_guessable_password(password, username):
        raise AccountRefused(password="is easy to guess; choose another")  # noqa: S106 - a sentence
    record = Record(username=username, email=email, full_name=full_name)
    asyncio.run(_add(record, password, role))
    print(f"{username} is in, as {role.value}.")
    if generate:
        print(f"Password: {password}   (shown only this once)")
    return 0


def show(*, json: Annotated[bool, Parameter(negative="", help="As JSON, for programs.")] = False) -> int:
    """Show everybody, by user name."""
    accounts = asyncio.run(_everybody())
    if json:
        print_json(accounts)
    else:
        _print_table(accounts)
    return 0


def deactivate(
    username: str,
    *,
    reason: Annotated[
        str | None, Parameter(help="Why; it is kept in the ledger, and asked for if it is left out.")
    ] = None,
) -> int:
    """Keep somebody out: their sessions end at once, everywhere. Their history stays."""
    changed = asyncio.run(_deactivate(username, _why(reason)))
    print(f"{username} is deactivated." if changed else f"{username} was deactivated before.")
    return 0


def forget_factor(
    username: str,
    *,
    reason: Annotated[
        str | None, Parameter(help="Why; it is kept in the ledger, and asked for if it is left out.")
    ] = None,
) -> int:
    """Take a lost second factor away: the next login asks for none, or has a new one set up. Sessions end."""
    changed = asyncio.run(_forget_factor(username, _why(reason)))
    print(f"{username} has no second factor any more." if changed else f"{username} had no second factor.")
    return 0


def groups(
    username: str,
    *names: Annotated[str, Parameter(help="All groups they are in from now on; none takes them out of all.")],
    reason: Annotated[
        str | None, Parameter(help="Why; it is kept in the ledger, and asked for if it is left out.")
    ] = None,
) -> int:
    """Put an analyst or administrator into these groups and no others. Their sessions go on."""
    changed = asyncio.run(_change_groups(username, names, _why(reason)))
    place = f"in {', '.join(sorted(set(names)))}" if names else "in no group"
    print(f"{username} is {place}." if changed else f"{username} was {place} before.")
    return 0


def lead(
    username: str,
    *,
    revoke: Annotated[bool, Parameter(negative="", help="They lead nobody any more.")] = False,
    reason: Annotated[
        str | None, Parameter(help="Why; it is kept in the ledger, and asked for if it is left out.")
    ] = None,
) -> int:
    """Let an analyst lead others: take over what they hold, and assign. Their sessions go on."""
    changed = asyncio.run(_change_lead(username, is_lead=not revoke, reason=_why(reason)))
    place = "no lead" if revoke else "a lead"
    print(f"{username} is {place} now." if changed else f"{username} was {place} before.")
    return 0


def _why(reason: str | None) -> str:
    (given,) = _asked_for({"--reason": reason})
    if not given.strip():
        raise AccountRefused(reason="--reason says why")
    return given


def _asked_for(options: Mapping[str, str | None], asked_later: Sequence[str] = ()) -> list[str]:
    """Ask for the options that were left out.

    Raises:
        AccountRefused: there is nobody to ask; it names all of them, and those that would be ``asked_later``.
    """
    missing = [name for name, value in options.items() if value is None]
    if missing and not sys.stdin.isatty():
        raise AccountRefused(missing=", ".join((*missing, *asked_later)))
    return [
        input(f"{name.removeprefix('--')}: ") if value is None else value for name, value in options.items()
    ]


def _problems(username: str, email: str, full_name: str) -> Iterator[tuple[str, str]]:
    """Apply the rules of the HTTP interface (wire contract, Authentication)."""
    if not (3 <= len(username) <= 50 and USER_NAME.fullmatch(username)):  # noqa: PLR2004 - said in the text
        yield "username", "has 3 to 50 characters, no slash among them, and no space at either end"
    if len(email) > 254 or not EMAIL.fullmatch(email):  # noqa: PLR2004 - RFC 5321, section 4.5.3.1.3
        yield "email", "is an address like name@example.org"
    if len(full_name) > 200:  # noqa: PLR2004 - said in the text
        yield "full_name", "has at most 200 characters"
    for field, text in (("username", username), ("email", email), ("full_name", full_name)):
        if people.holds_unseen(text):
            yield field, "holds a character that nobody sees"


def _password(*, from_stdin: bool, generate: bool) -> str:
    if generate:
        return secrets.token_urlsafe(GENERATED_BYTES)
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = getpass("Password: ")
        if getpass("The same again: ") != password:
            raise AccountRefused(password="they differ")  # noqa: S106 - a sentence
    else:
        advice = "there is no terminal to ask on: give --password-stdin or --generate"
        raise AccountRefused(password=advice)
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise AccountRefused(password=f"has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return password


async def _add(record: Record, password: str, role: Role) -> None:
    async with operating(may_begin=True) as services:
        await registering.register(services.identity, record, operator(), password=password, role=role)


async def _deactivate(username: str, reason: str) -> bool:
    async with operating() as services:
        handled = await administering.deactivate(services.identity, username, operator(), reason=reason)
    return bool(handled.events)


async def _change_groups(username: str, groups: Sequence[str], reason: str) -> bool:
    async with operating() as services:
        handled = await administering.change_groups(
            services.identity, username, operator(), groups=groups, reason=reason
        )
    return bool(handled.events)


async def _change_lead(username: str, *, is_lead: bool, reason: str) -> bool:
    async with operating() as services:
        handled = await administering.change_lead(
            services.identity, username, operator(), is_lead=is_lead, reason=reason
        )
    return bool(handled.events)


async def _forget_factor(username: str, reason: str) -> bool:
    async with operating() as services:
        found = await people.must_find(services.ledger.pool, services.ledger.ledger_id, username)
        handled = await factor_changes.disable(services.identity, found.person, operator(), reason=reason)
    return bool(handled.events)


async def _everybody() -> list[Account]:
    async with operating() as services:
        ledger, after = services.ledger, ""
        accounts: list[Account] = []
        while page := await people.list_people(ledger.pool, ledger.ledger_id, after=after, limit=PAGE):
            accounts += await _accounts(ledger, page)
            after = page[-1].record.username
        return accounts


async def _accounts(ledger: Ledger, page: tuple[Person, ...]) -> list[Account]:
    """Join people with their accounts as the log has them, not as a view may lag behind it."""
    streams = await read_streams(ledger, [account_stream(person.person) for person in page])
    states = {name: state_of(ACCOUNT, stream) for name, stream in streams.items()}
    return [_account(person, states[account_stream(person.person)]) for person in page]


def _account(person: Person, state: object) -> Account:
    known = state if isinstance(state, Registered) else None
    return Account(
        username=person.record.username,
        role=None if known is None else known.role,
        is_active=known is not None and known.is_active,
        is_lead=known is not None and known.is_lead,
        groups=() if known is None else known.groups,
        second_factor=known is not None and known.second_factor,
        full_name=person.record.full_name,
        email=person.record.email,
        registered_at=person.created_at,
    )


def _print_table(accounts: list[Account]) -> None:
    columns = ("User", "Role", "Groups", "State", "2FA", "Name", "Address", "Since")
    rows = [
        (
            account.username,
            f"{account.role or 'unknown'}{', lead' if account.is_lead else ''}",
            ", ".join(account.groups),
            "active" if account.is_active else "deactivated",
            "yes" if account.second_factor else "no",
            account.full_name,
            account.email,
            f"{account.registered_at:%Y-%m-%d}",
        )
        for account in accounts
    ]
    print_table(columns, rows)
