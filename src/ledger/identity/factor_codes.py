"""The codes of a second factor: time-based ones (RFC 6238) and backup codes."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Final

import pyotp
import segno

STEP_SECONDS: Final = 30
DRIFT_STEPS: Final = 1
DIGITS: Final = 6
BACKUP_CODES: Final = 10
BACKUP_BYTES: Final = 10
BACKUP_GROUP: Final = 4


def new_secret() -> str:
    """Make a secret to share with an authenticator, in base 32."""
    return pyotp.random_base32()


def new_backup_codes() -> tuple[str, ...]:
    """Make ten codes of 80 random bits each, in groups of four characters."""
    return tuple(_grouped(secrets.token_bytes(BACKUP_BYTES)) for _ in range(BACKUP_CODES))


def otpauth_url(secret: str, *, username: str, issuer: str) -> str:
    """Write what an authenticator reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=issuer)


def qr_code(url: str) -> str:
    """Draw a URL as a QR code: an SVG element that scales to its place."""
    drawn = segno.make(url, error="m").svg_inline(scale=4, border=4, omitsize=True, light="#fff")
    return str(drawn)


def accepted_step(secret: str, code: str, *, now: datetime, after: int) -> int | None:
    """Find the time step of a code: the current one, the one before or after it, and later than ``after``.

    ``None``: the code is of none of them. RFC 6238, section 5.2: a code is accepted once.
    """
    typed = _compact(code)
    if not is_time_code(typed):
        return None
    current = int(now.timestamp()) // STEP_SECONDS
    totp = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)
    steps = range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1)
    matching = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), typed)]
    return next((step for step in matching if step > after), None)


def is_time_code(code: str) -> bool:
    """Tell a time-based code from a backup code."""
    typed = _compact(code)
    return len(typed) == DIGITS and typed.isascii() and typed.isdigit()


def backup_hash(code: str) -> bytes:
    """Hash a backup code as it is stored; 80 random bits need no salt and no slow hash."""
    return hashlib.sha256(_compact(code).encode("utf-8", "surrogatepass")).digest()


def _grouped(random: bytes) -> str:
    text = base64.b32encode(random).decode().lower()
    return "-".join(text[first : first + BACKUP_GROUP] for first in range(0, len(text), BACKUP_GROUP))


def _compact(code: str) -> str:
    return "".join(code.split()).replace("-", "").lower()
