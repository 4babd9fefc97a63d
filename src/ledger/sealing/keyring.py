"""The notary's private keys: in a file of the data folder, or given by whoever started the service."""

import binascii
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from ledger.domain.errors import Invalid, RuleViolation, Unavailable
from ledger.sealing import kept
from ledger.sealing.notes import KEY_BYTES, Signer

KEY_FILE: Final = "notary_key"
OTHERS: Final = 0o077

_Write: TypeAlias = Callable[[Path, str], object]


class NotaryKeyUnusable(Unavailable):
    """The notary's key cannot be used.

    Context: ``path``, ``reason``.
    """

    code = "notary-key-unusable"
    advice = "Make the file readable to the service alone, or put it back from where you keep a copy."


class NotaryKeyGiven(RuleViolation):
    """The notary's key comes from LEDGER_NOTARY_KEY: nobody can change it there but you."""

    code = "notary-key-given"
    advice = (
        "Put a new key (openssl rand -base64 32) before the old one, separated by a comma, and start the service again; "
        "leave the old one out when 'ledger notary status' shows the new one."
    )


class NoNotaryKey(RuleViolation):
    """There is no notary's key to put another one in the place of."""

    code = "no-notary-key"
    advice = "Start the service: it makes one, or says why it does not."


class MalformedSeed(Invalid):
    """A notary's key is 32 bytes in base64."""

    code = "malformed-notary-key"
    advice = "Make one with: openssl rand -base64 32"


class Keyring:
    """Keys that sign as ``origin``, the current one first; the others only until the current one is known.

    ``given`` are keys in base64; without any they are in ``folder``. ``is_strict``: a file that others of this machine
    may read is not used.
    """

    def __init__(
        self, origin: str, folder: Path, *, given: Sequence[str] = (), is_strict: bool = False
    ) -> None:
        """Prepare to read keys when they are asked for."""
        self.origin = origin
        self.path = folder / KEY_FILE
        self.is_given = bool(given)
        self._given = tuple(given)
        self._is_strict = is_strict

    def signers(self) -> tuple[Signer, ...]:
        """Read the keys, every time: a command may have changed them; none: there is no file.

        Raises:
            NotaryKeyUnusable: the file cannot be read, or holds something else, or others may read it.
        """
        seeds = self._given or self._lines()
        try:
            return tuple(Signer(self.origin, seed_in(text)) for text in seeds)
        except MalformedSeed as odd:
            raise NotaryKeyUnusable(path=self._name(), reason="it holds something else") from odd

    def make(self) -> None:
        """Make the first key, unless somebody else just did.

        Raises:
            NotaryKeyUnusable: it cannot be written.
        """
        self._write(kept.write_new, [new_seed()])

    def rotate(self, *, keeps: bool = True) -> tuple[Signer, ...]:
        """Put a new key before those there are, or, unless it ``keeps`` them, in their place; give what there is now.

        Raises:
            NotaryKeyGiven: the keys are not in a file.
            NotaryKeyUnusable: it cannot be read or written.
        """
        if self.is_given:
            raise NotaryKeyGiven
        with self._alone():
            self._write(kept.replace, [new_seed(), *(self._lines() if keeps else ())])
        return self.signers()

    def forget_before(self, known: Signer) -> None:
        """Forget the keys that were there before ``known``: they have done what they were kept for.

        Raises:
            NotaryKeyUnusable: it cannot be read or written.
        """
        if self.is_given:
            return
        with self._alone():
            names = [signer.vkey for signer in self.signers()]
            if known.vkey in names[:-1]:
                self._write(kept.replace, self._lines()[: names.index(known.vkey) + 1])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep everybody else from changing the file: a command and the notary may want to at once."""
        try:
            with kept.locked(self.path):
                yield
        except OSError as reason:
            raise NotaryKeyUnusable(path=str(self.path), reason=reason.strerror) from reason

    def _lines(self) -> list[str]:
        try:
            mode = self.path.stat().st_mode
            lines = self.path.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as reason:
            told = reason.strerror if isinstance(reason, OSError) else "it holds something else"
            raise NotaryKeyUnusable(path=str(self.path), reason=told) from reason
        if self._is_strict and mode & OTHERS:
            raise NotaryKeyUnusable(path=str(self.path), reason=f"others may read it ({mode & 0o777:o})")
        if not lines:
            raise NotaryKeyUnusable(path=str(self.path), reason="it is empty")
        return lines

    def _write(self, how: _Write, seeds: Sequence[str]) -> None:
        try:
            how(self.path, "".join(f"{seed}\n" for seed in seeds))
        except OSError as reason:
            raise NotaryKeyUnusable(path=str(self.path), reason=reason.strerror) from reason

    def _name(self) -> str:
        return "LEDGER_NOTARY_KEY" if self.is_given else str(self.path)


def new_seed() -> str:
    """Make a private key, in base64."""
    return b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def seed_in(text: str) -> bytes:
    """Read a private key.

    Raises:
        MalformedSeed: it is none.
    """
    try:
        seed = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as odd:
        raise MalformedSeed from odd
    if len(seed) != KEY_BYTES:
        raise MalformedSeed
    return seed
