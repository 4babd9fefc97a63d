"""A C2SP tlog-proof, taken apart as its specification says, by code of the tests' own."""

from base64 import b64decode
from pathlib import Path
from typing import Self

import msgspec

from ledger.store.ledger import Ledger
from tests.support.sealing import keyring_in


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The leaf's index, the hashes from its sibling upwards, the checkpoint."""

    index: int
    path: tuple[bytes, ...]
    note: str

    @classmethod
    def parse(cls, text: str) -> Self:
        head, _, note = text.partition("\n\n")
        first, index, *hashes = head.split("\n")
        assert first == "c2sp.org/tlog-proof@v1"
        assert index.startswith("index ")
        return cls(
            index=int(index.removeprefix("index ")),
            path=tuple(b64decode(one, validate=True) for one in hashes),
            note=note,
        )


def vkeys_in(ledger: Ledger, folder: Path) -> list[str]:
    """The public keys of the notary whose files are in ``folder``."""
    return [signer.vkey for signer in keyring_in(ledger, folder).signers()]
