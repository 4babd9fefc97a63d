"""A token is good for one purpose, for a while, under our signature; nothing else is taken for one."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from ledger.domain.ids import PersonId, SessionId
from ledger.identity.keys import Keyring
from ledger.identity.tokens import AccessClaims, InvalidToken, LimitedClaims, TokenExpired, Tokens
from tests.builders.people import NOW, SAM, session_of
from tests.identity.house import SECRET

SESSION: Final = session_of(SAM)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens([SECRET])


def claims_of(token: str) -> dict[str, object]:
    decoded: dict[str, object] = json.loads(_decoded(token.split(".")[1]))
    return decoded


def header_of(token: str) -> dict[str, object]:
    decoded: dict[str, object] = json.loads(_decoded(token.split(".", maxsplit=1)[0]))
    return decoded


def forged(header: dict[str, object], claims: dict[str, object], key: bytes | None = None) -> str:
    signed = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
    signature = b"" if key is None else hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_encoded(signature)}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_an_access_token_names_person_and_session_for_thirty_minutes(tokens: Tokens) -> None:
    token = tokens.access(SAM, SESSION, NOW)
    read = tokens.read_access(token, NOW + timedelta(minutes=30, seconds=-1))

    assert (read.sub, read.sid) == (SAM, SESSION)
    assert read.exp - read.iat == 1800
    assert header_of(token)["alg"] == "HS256"
    assert set(claims_of(token)) == {"iss", "sub", "sid", "iat", "exp", "jti", "purpose"}
    with pytest.raises(TokenExpired):
        tokens.read_access(token, NOW + timedelta(minutes=30))


def test_a_token_that_was_read_vouches_for_no_other(tokens: Tokens) -> None:
    token = tokens.access(SAM, SESSION, NOW)
    tokens.read_access(token, NOW)
    head, _, signature = token.rpartition(".")
    other = "A" if signature[5] != "A" else "B"

    with pytest.raises(InvalidToken):
        tokens.read_access(f"{head}.{signature[:5]}{other}{signature[6:]}", NOW)
    assert tokens.read_access(token, NOW).sub == SAM


def test_a_limited_token_is_good_for_five_minutes_and_names_no_session(tokens: Tokens) -> None:
    token = tokens.limited(SAM, 3, NOW)
    read = tokens.read_limited(token, NOW + timedelta(minutes=5, seconds=-1))

    assert (read.sub, read.epoch) == (SAM, 3)
    assert "sid" not in claims_of(token)
    with pytest.raises(TokenExpired):
        tokens.read_limited(token, NOW + timedelta(minutes=5))


def test_neither_token_passes_for_the_other(tokens: Tokens) -> None:
    with pytest.raises(InvalidToken):
        tokens.read_access(tokens.limited(SAM, 0, NOW), NOW)
    with pytest.raises(InvalidToken):
        tokens.read_limited(tokens.access(SAM, SESSION, NOW), NOW)


def test_both_kinds_are_told_apart_by_what_they_say(tokens: Tokens) -> None:
    assert isinstance(tokens.read(tokens.access(SAM, SESSION, NOW), NOW), AccessClaims)
    assert isinstance(tokens.read(tokens.limited(SAM, 0, NOW), NOW), LimitedClaims)


def test_no_two_tokens_are_the_same(tokens: Tokens) -> None:
    assert tokens.access(SAM, SESSION, NOW) != tokens.access(SAM, SESSION, NOW)


def test_another_secret_or_another_issuer_is_not_us(tokens: Tokens) -> None:
    for other in (Tokens(["another secret"]), Tokens([SECRET], issuer="somebody")):
        with pytest.raises(InvalidToken):
            tokens.read_access(other.access(SAM, SESSION, NOW), NOW)


def test_a_rotated_key_still_reads_and_no_longer_signs(tokens: Tokens) -> None:
    rotated = Tokens(["a new secret", SECRET])
    old, new = tokens.access(SAM, SESSION, NOW), rotated.access(SAM, SESSION, NOW)

    assert rotated.read_access(old, NOW).sub == SAM
    assert header_of(new)["kid"] != header_of(old)["kid"]
    with pytest.raises(InvalidToken):
        tokens.read_access(new, NOW)


def test_the_secret_itself_signs_nothing(tokens: Tokens) -> None:
    good = tokens.access(SAM, SESSION, NOW)

    with pytest.raises(InvalidToken):
        tokens.read_access(forged(header_of(good), claims_of(good), SECRET.encode()), NOW)


def test_other_algorithms_are_refused_even_with_the_right_key(tokens: Tokens) -> None:
    good = tokens.access(SAM, SESSION, NOW)
    key = Keyring([SECRET], "tokens").current
    kid, claims = header_of(good)["kid"], claims_of(good)
    stronger = jwt.encode(
        {"alg": "HS512", "kid": key.key_id}, claims, OctKey.import_key(key.secret), algorithms=["HS512"]
    )

    for bad in (
        stronger,
        forged({"alg": "none", "kid": kid}, claims),
        forged({"alg": "None", "kid": kid}, claims),
        forged({"kid": kid}, claims, key.secret),
    ):
        with pytest.raises(InvalidToken):
            tokens.read_access(bad, NOW)
    assert tokens.read_access(forged({"alg": "HS256", "kid": kid}, claims, key.secret), NOW).sub == SAM


@pytest.mark.parametrize("without", ["iss", "sub", "sid", "iat", "exp", "jti", "purpose"])
def test_a_token_that_leaves_something_out_is_refused(tokens: Tokens, without: str) -> None:
    good = tokens.access(SAM, SESSION, NOW)
    key = Keyring([SECRET], "tokens").current
    claims = {name: value for name, value in claims_of(good).items() if name != without}

    with pytest.raises(InvalidToken):
        tokens.read_access(forged(header_of(good), claims, key.secret), NOW)


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        "\ud800",
        "\0",
        "x" * 100_000,
        _encoded(b"[" * 1400) + ".e30.AA",
        _encoded(b'{"alg":"HS256","kid":' + b"[" * 1200) + ".e30.AA",
        _encoded(b'{"alg":"HS256","kid":["a"]}') + ".e30.AA",
        _encoded(b'{"alg":["HS256"],"kid":"a"}') + ".e30.AA",
        _encoded(b"[]") + ".e30.AA",
        _encoded(b"\xff\xfe") + ".e30.AA",
    ],
)
def test_garbage_is_refused_like_everything_else(tokens: Tokens, garbage: str) -> None:
    with pytest.raises(InvalidToken) as refused:
        tokens.read_access(garbage, NOW)

    assert str(refused.value).startswith("Could not validate credentials.")


def test_keys_of_two_purposes_have_nothing_in_common() -> None:
    tokens, factors = Keyring([SECRET], "tokens").current, Keyring([SECRET], "second-factor").current

    assert tokens.secret != factors.secret
    assert tokens.key_id != factors.key_id
    assert tokens.key_id not in tokens.secret.hex()
    assert len(tokens.secret) == 32


def test_ids_in_tokens_are_ids() -> None:
    read = Tokens([SECRET]).read_access(
        Tokens([SECRET]).access(PersonId(UUID(int=1)), SessionId(UUID(int=2)), NOW), NOW
    )

    assert isinstance(read.sub, UUID)
    assert isinstance(read.sid, UUID)
