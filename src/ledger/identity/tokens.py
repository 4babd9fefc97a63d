"""Access tokens and limited tokens: what they say, how they are signed, what is refused.

A token only names a session; whether that session is live, its stream says (``sessions.py``).
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, OctKey

from ledger.domain.errors import Unauthenticated
from ledger.domain.ids import PersonId, SessionId
from ledger.identity.keys import Key, Keyring

ALGORITHM: Final = "HS256"
ACCESS_LIFETIME: Final = timedelta(minutes=30)
LIMITED_LIFETIME: Final = timedelta(minutes=5)
MAX_TOKEN_CHARACTERS: Final = 2048
SKEW_SECONDS: Final = 60
"""How far the clocks of two instances may differ before one refuses what the other has just made."""
ISSUER: Final = "decision-ledger"
MAX_KNOWN: Final = 10_000


class InvalidToken(Unauthenticated):
    """Could not validate credentials."""

    code = "invalid-token"


class TokenExpired(InvalidToken):
    """Could not validate credentials: the token has expired."""

    code = "token-expired"
    advice = "Refresh it, or log in again."


class AccessClaims(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="purpose", tag="access"
):
    """What an access token says: this person, in this session."""

    iss: str
    sub: PersonId
    sid: SessionId
    iat: int
    exp: int
    jti: str
    nbf: int = 0


class LimitedClaims(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="purpose", tag="second-factor"
):
    """What a limited token says: this person proved the password while the account was in this epoch."""

    iss: str
    sub: PersonId
    epoch: int
    iat: int
    exp: int
    jti: str
    nbf: int = 0


Claims: TypeAlias = AccessClaims | LimitedClaims


class Tokens:
    """Signs tokens with the current key and reads those of any key still known."""

    def __init__(self, secret_keys: Sequence[str], *, issuer: str = ISSUER) -> None:
        """Derive the signing keys; the first of ``secret_keys`` signs, every one verifies."""
        self._issuer = issuer
        self._keys = Keyring(secret_keys, "tokens")
        self._known: dict[bytes, Claims] = {}

    def access(self, person: PersonId, session: SessionId, now: datetime) -> str:
        """Make an access token, good for 30 minutes while the session lives."""
        issued = int(now.timestamp())
        return self._sign(
            AccessClaims(
                iss=self._issuer,
                sub=person,
                sid=session,
                iat=issued,
                exp=issued + int(ACCESS_LIFETIME.total_seconds()),
                jti=secrets.token_urlsafe(16),
            )
        )

    def limited(self, person: PersonId, epoch: int, now: datetime) -> str:
        """Make a token that is good for completing a login, for 5 minutes, and for nothing else."""
        issued = int(now.timestamp())
        return self._sign(
            LimitedClaims(
                iss=self._issuer,
                sub=person,
                epoch=epoch,
                iat=issued,
                exp=issued + int(LIMITED_LIFETIME.total_seconds()),
                jti=secrets.token_urlsafe(16),
            )
        )

    def read_access(self, token: str, now: datetime) -> AccessClaims:
        """Read an access token.

        Raises:
            InvalidToken: it is none of ours, or made for something else.
            TokenExpired: its 30 minutes are over.
        """
        claims = self.read(token, now)
        if not isinstance(claims, AccessClaims):
            raise InvalidToken
        return claims

    def read_limited(self, token: str, now: datetime) -> LimitedClaims:
        """Read a limited token.

        Raises:
            InvalidToken: it is none of ours, or made for something else.
            TokenExpired: its 5 minutes are over.
        """
        claims = self.read(token, now)
        if not isinstance(claims, LimitedClaims):
            raise InvalidToken
        return claims

    def read(self, token: str, now: datetime) -> Claims:
        """Read a token of either kind; refusals as ``read_access``."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise InvalidToken
        claims = self._open(token)
        if claims.iss != self._issuer:
            raise InvalidToken
        if max(claims.iat, claims.nbf) > now.timestamp() + SKEW_SECONDS:
            raise InvalidToken
        if now.timestamp() >= claims.exp:
            raise TokenExpired
        return claims

    def _open(self, token: str) -> Claims:
        """Verify what a token says, once: neither its bytes nor the keys change, and whether it holds is asked each time.

        Known by a digest, so that no token is kept.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        claims = self._known.get(digest)
        if claims is None:
            claims = self._verified(token)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[digest] = claims
        return claims

    def _verified(self, token: str) -> Claims:
        try:
            opened = jwt.decode(token, self._key_of, algorithms=[ALGORITHM])
            return msgspec.convert(opened.claims, type=AccessClaims | LimitedClaims)
        except (
            JoseError,
            ValueError,
            RecursionError,
        ) as unreadable:  # RecursionError: a header nested deeply
            raise InvalidToken from unreadable

    def _sign(self, claims: Claims) -> str:
        key = self._keys.current
        header = {"alg": ALGORITHM, "kid": key.key_id}
        return jwt.encode(header, msgspec.to_builtins(claims), _jwk(key), algorithms=[ALGORITHM])

    def _key_of(self, token: GuestProtocol) -> OctKey:
        key = self._keys.find(str(token.headers().get("kid")))
        if key is None:
            raise InvalidToken
        return _jwk(key)


def _jwk(key: Key) -> OctKey:
    return OctKey.import_key(key.secret)
