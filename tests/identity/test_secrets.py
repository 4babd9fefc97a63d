"""After a whole life of an account the log knows nobody's name, address or secret, yet commits to them."""

import hashlib
import json

import pyotp

from ledger.domain.authority import Role
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import SessionOpened
from ledger.identity.administering import change_password, change_role, deactivate
from ledger.identity.identity import Identity
from ledger.identity.refreshing import refresh
from ledger.identity.second_factor import complete_login, enable, setup
from ledger.identity.sessions import authenticate
from ledger.store.ledger import session_stream
from ledger.store.streams import read_stream, recorded
from tests.identity.house import (
    CLIENT,
    PASSWORD,
    SECRET,
    MovingClock,
    admitted,
    asked_by,
    logged_in,
    operator,
)


async def test_the_log_holds_no_name_no_address_and_no_secret(identity: Identity, clock: MovingClock) -> None:
    await admitted(identity, "samantha", role=Role.ANALYST)
    first = await logged_in(identity, "samantha")
    pair = await refresh(identity, first.refresh_token or "")
    sam = await authenticate(identity, pair.access_token)
    factor = await setup(identity, sam.person)
    await enable(identity, sam, pyotp.TOTP(factor.secret).at(clock()), asked_by(sam))
    halfway = await logged_in(identity, "samantha")
    done = await complete_login(identity, halfway.access_token, factor.backup_codes[0], client=CLIENT)
    await change_role(identity, "samantha", operator(), role=Role.VIEWER, reason="moved")
    await change_password(identity, "samantha", operator(), new_password="fresh one")
    await deactivate(identity, "samantha", operator(), reason="left")
    hashes = await identity.ledger.pool.fetch(
        "select password_hash as secret from work.credentials"
        " union all select encode(token_hash, 'hex') from work.refresh_tokens"
        " union all select encode(code_hash, 'hex') from work.backup_codes"
        " union all select encode(secret, 'hex') from work.second_factors"
    )

    log = await identity.ledger.pool.fetch("select e::text as line, payload, envelope from ledger.events e")
    everything = "\n".join(
        f"{row['line']} {row['payload'].decode()} {row['envelope'].decode()}" for row in log
    ).casefold()

    secrets = [
        "samantha",
        "example.org",
        "the tester",
        PASSWORD,
        "fresh one",
        SECRET,
        CLIENT.address,
        CLIENT.user_agent,
        factor.secret,
        *factor.backup_codes,
        first.refresh_token or "",
        done.refresh_token or "",
        pair.refresh_token,
        first.access_token,
        *(row["secret"] for row in hashes),
    ]
    assert len(log) > 8
    assert [secret for secret in secrets if secret.casefold() in everything] == []


async def test_the_log_commits_to_where_a_session_was_opened_from(identity: Identity) -> None:
    await admitted(identity, "sam")
    who = await authenticate(identity, (await logged_in(identity, "sam")).access_token)
    stream = await read_stream(identity.ledger, session_stream(who.session))
    opened = recorded(stream.events[0], SESSION.event_types).event
    row = await identity.ledger.pool.fetchrow("select salt, address, user_agent from work.sessions")

    assert row is not None
    assert isinstance(opened, SessionOpened)
    assert (row["address"], row["user_agent"]) == (CLIENT.address, CLIENT.user_agent)
    canonical = json.dumps(
        {"address": row["address"], "user_agent": row["user_agent"]}, separators=(",", ":")
    ).encode()
    assert opened.client == hashlib.sha256(row["salt"] + canonical).hexdigest()
