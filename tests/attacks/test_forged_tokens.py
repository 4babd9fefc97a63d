"""Tokens that nobody gave out."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from ledger.domain.ids import PersonId, SessionId
from ledger.identity.keys import Keyring
from ledger.identity.tokens import Tokens
from tests.attacks.site import SECRET_KEY, Person, Site

WHO = "/api/auth/me"


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def decoded(token: str, part: int) -> dict:
    text = token.split(".")[part]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def signed(header: dict, claims: dict, secret: bytes, digest: str = "sha256") -> str:
    message = f"{encoded(header)}.{encoded(claims)}"
    signature = hmac.new(secret, message.encode(), digest).digest()
    return f"{message}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def refused(site: Site, token: str) -> bool:
    """Whether every kind of call refuses this token."""
    forger = Person(username="forger", access=token)
    answers = [
        *(site.ask("GET", WHO, by=forger) for _ in site.services),
        site.post("/api/auth/logout", by=forger),
        site.ask("GET", "/api/decisions/pending", by=forger),
        site.post("/api/auth/2fa/verify", {"code": "123456"}, by=forger),
    ]
    return {answer.status_code for answer in answers} == {401}


def key() -> bytes:
    """The key that signs the site's tokens: what an attacker does not have."""
    return Keyring([SECRET_KEY], "tokens").current.secret


def person_and_session(token: str) -> tuple[PersonId, SessionId]:
    claims = decoded(token, 1)
    return claims["sub"], claims["sid"]


def test_the_genuine_token_is_let_in(site: Site, sam: Person) -> None:
    genuine = signed(decoded(sam.access, 0), decoded(sam.access, 1), key())

    assert site.ask("GET", WHO, by=Person(username="sam", access=genuine)).status_code == 200


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_a_token_that_claims_to_need_no_signature_is_refused(
    site: Site, sam: Person, algorithm: str, signature: str
) -> None:
    header = {**decoded(sam.access, 0), "alg": algorithm}

    assert refused(site, f"{encoded(header)}.{encoded(decoded(sam.access, 1))}.{signature}")


@pytest.mark.parametrize("digest", ["sha384", "sha512"])
def test_another_algorithm_is_refused_even_with_the_right_key(site: Site, sam: Person, digest: str) -> None:
    header = {**decoded(sam.access, 0), "alg": f"HS{digest[3:]}"}

    assert refused(site, signed(header, decoded(sam.access, 1), key(), digest))


@pytest.mark.parametrize(
    "change",
    [
        {"kid": "another"},
        {"kid": ""},
        {"kid": None},
        {"kid": "../../../../dev/null"},
        {"kid": "' or 1=1 --"},
        {"kid": ["a"]},
        {"alg": "RS256"},
        {"alg": "ES256"},
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"zip": "DEF"},
    ],
    ids=str,
)
def test_a_wrong_or_strange_header_is_refused(site: Site, sam: Person, change: dict) -> None:
    header = {**decoded(sam.access, 0), **change}

    assert refused(site, signed(header, decoded(sam.access, 1), key()))


def test_a_key_that_the_token_brings_itself_is_not_used(site: Site, sam: Person) -> None:
    mine = b"a key of the attacker's own, long enough"
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(mine).decode().rstrip("=")}
    header = {
        "alg": "HS256",
        "kid": "mine",
        "jwk": jwk,
        "jku": "http://evil.test/keys",
        "x5u": "http://evil.test",
    }

    assert refused(site, signed(header, decoded(sam.access, 1), mine))


@pytest.mark.parametrize(
    "secret", [SECRET_KEY.encode(), b"", b"secret", hashlib.sha256(SECRET_KEY.encode()).digest()]
)
def test_the_secret_of_the_settings_itself_signs_nothing(site: Site, sam: Person, secret: bytes) -> None:
    assert refused(site, signed(decoded(sam.access, 0), decoded(sam.access, 1), secret))


@pytest.mark.parametrize(
    "change",
    [
        {"exp": 1},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": float(10**12)},
        {"iat": 10**10, "exp": 10**10 + 60},
        {"nbf": 10**10},
        {"iss": "another"},
        {"iss": None},
        {"purpose": "second-factor"},
        {"purpose": "admin"},
        {"sub": None},
        {"sub": "admin"},
        {"sid": str(UUID(int=7))},
        {"sub": str(UUID(int=7))},
        {"sid": ["a"]},
    ],
    ids=str,
)
def test_claims_that_are_not_those_of_a_live_session_are_refused_even_with_the_right_key(
    site: Site, sam: Person, change: dict
) -> None:
    claims = {
        name: value for name, value in {**decoded(sam.access, 1), **change}.items() if value is not None
    }

    assert refused(site, signed(decoded(sam.access, 0), claims, key()))


def test_a_token_of_another_session_of_another_person_is_refused_even_with_the_right_key(
    site: Site, sam: Person, admin: Person
) -> None:
    claims = {**decoded(sam.access, 1), "sub": decoded(admin.access, 1)["sub"]}

    assert refused(site, signed(decoded(sam.access, 0), claims, key()))


def test_an_expired_token_is_refused(site: Site, sam: Person) -> None:
    person, session = person_and_session(sam.access)
    token = Tokens([SECRET_KEY]).access(person, session, datetime.now(UTC) - timedelta(minutes=31))

    assert refused(site, token)


def test_the_token_of_another_installation_is_refused(site: Site, sam: Person) -> None:
    person, session = person_and_session(sam.access)
    token = Tokens(["the secret of another installation, long"]).access(person, session, datetime.now(UTC))

    assert refused(site, token)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        "..",
        "a" * 10_000,
        "eyJhbGciOiJIUzI1NiJ9",
        encoded([[[[[]]]]]) + ".x.y",
    ],
)
def test_what_is_no_token_is_refused(site: Site, token: str) -> None:
    assert refused(site, token)


def test_every_single_changed_byte_spoils_a_token(site: Site, sam: Person) -> None:
    token = site.log_in("sam").access
    places = range(0, len(token) - 1, max(1, len(token) // 25))

    for place in places:
        other = "A" if token[place] != "A" else "B"
        forged = token[:place] + other + token[place + 1 :]
        answer = site.ask("GET", WHO, by=Person(username="forger", access=forged))
        assert answer.status_code == 401, place


@pytest.mark.parametrize("where", ["query", "cookie", "basic", "lower"])
def test_a_token_counts_in_its_header_alone(site: Site, where: str) -> None:
    token = site.log_in("sam").access
    ways = {
        "query": {"params": {"access_token": token, "token": token}},
        "cookie": {"headers": {"Cookie": f"access_token={token}; session={token}"}},
        "basic": {"headers": {"Authorization": f"Basic {token}"}},
        "lower": {"headers": {"Authorization": token}},
    }

    assert site.ask("GET", WHO, **ways[where]).status_code == 401
