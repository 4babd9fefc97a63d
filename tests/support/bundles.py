"""Bundles for tests, written from the format's description and sharing nothing with what exports or verifies them."""

import base64
import gzip
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID, uuid5

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support import rfc6962
from tests.support.noting import LOG, WITNESS, Signatory, checkpoint_text, note

SPACE = UUID("5d0c4f0e-0f68-4cf3-9a5e-0d6a2f0f4a11")
ORIGIN = "ledger.example/tests"
THE_LOG = Signatory(name=ORIGIN, kind=LOG)
WITNESSES = tuple(Signatory(name=f"witness.example/{name}", kind=WITNESS) for name in ("a", "b", "c"))
SEEN_AT = 1_790_000_000
ANN, BOB = (str(uuid5(SPACE, name)) for name in ("ann", "bob"))
SUBJECT_KEY = hashlib.sha256(b"a subject's key").digest()


class Happened(msgspec.Struct, kw_only=True):
    """One event before it is sealed; what is not given follows from its place."""

    stream: str
    type: str = "comment-added"
    payload: str | None = None
    schema_version: int = 1
    recorded_at: str = "2026-03-01T08:30:00.000000Z"
    actor: str = ANN
    command: str | None = None
    version: int | None = None
    prev: str | None = None
    event_id: str | None = None
    ledger: int = 1


class Sealed(msgspec.Struct, kw_only=True):
    """One event as it was sealed."""

    envelope: bytes
    salt: bytes
    payload: str


def on(*streams: str) -> list[Happened]:
    """Events on these streams, one after the other."""
    return [Happened(stream=f"decision-{uuid5(SPACE, name)}") for name in streams]


def seal(events: Sequence[Happened], *, begin: int = 0) -> list[Sealed]:
    """Chain the events as the service does: versions, ids and the hash of the last in each stream."""
    ends = dict[str, tuple[int, str]]()
    sealed = list[Sealed]()
    for index, event in enumerate(events, begin):
        version, prev = ends.get(event.stream, (0, ""))
        made = _sealed(event, index, version + 1, prev)
        sealed.append(made)
        ends[event.stream] = (event.version or version + 1, rfc6962.leaf(made.envelope).hex())
    return sealed


def _sealed(event: Happened, index: int, version: int, prev: str) -> Sealed:
    command = event.command or str(uuid5(SPACE, f"command {index}"))
    payload = event.payload
    if payload is None:
        payload = json.dumps(
            {"type": event.type, "at": event.recorded_at, "n": index, "text": "ü⟦"}, ensure_ascii=False
        )
    salt = hashlib.sha256(f"salt {index}".encode()).digest()[:16]
    envelope = {
        "v": 1,
        "event_id": event.event_id or str(uuid5(SPACE, f"event {index}")),
        "ledger": event.ledger,
        "stream": event.stream,
        "version": event.version or version,
        "type": event.type,
        "schema_version": event.schema_version,
        "recorded_at": event.recorded_at,
        "actor": event.actor,
        "command_id": command,
        "causation_id": "",
        "correlation_id": "",
        "request": "",
        "data": hashlib.sha256(salt + payload.encode()).hexdigest(),
        "prev": prev if event.prev is None else event.prev,
    }
    return Sealed(envelope=json.dumps(envelope, separators=(",", ":")).encode(), salt=salt, payload=payload)


def sealed_token(text: str, *, event_id: str, field: str = "reason", key: bytes = SUBJECT_KEY) -> str:
    """A personal text as it stands in a payload."""
    key_id = key_id_of(key)
    nonce = hashlib.sha256(text.encode()).digest()[:12]
    box = AESGCM(key).encrypt(nonce, text.encode(), f"{event_id}|{field}|{key_id}".encode())
    return f"⟦sealed:v1:{key_id}:{event_id}:{field}:t:{base64.urlsafe_b64encode(nonce + box).decode().rstrip('=')}⟧"


def key_id_of(key: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(b"ledger-kc/v1" + key).digest()).decode().rstrip("=")


def person(person: str, name: str, salt: bytes = b"p" * 32) -> dict[str, str]:
    """A line of the file of people."""
    return {
        "person": person,
        "username": name,
        "email": f"{name}@example.org",
        "full_name": f"{name.title()} Müller",
        "salt": salt.hex(),
    }


def commitment(line: dict[str, str]) -> str:
    record = {key: line[key] for key in ("email", "full_name", "username")}
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(bytes.fromhex(line["salt"]) + canonical.encode()).hexdigest()


def registered(line: dict[str, str]) -> Happened:
    payload = {
        "type": "account-registered",
        "at": "x",
        "person": line["person"],
        "commitment": commitment(line),
    }
    return Happened(
        stream=f"account-{line['person']}",
        type="account-registered",
        payload=json.dumps(payload),
        schema_version=2,
    )


def policy(*, quorum: str = "none", witnesses: Sequence[Signatory] = ()) -> str:
    lines = [f"log {THE_LOG.vkey}"]
    lines += [f"witness {chr(ord('A') + index)} {one.vkey}" for index, one in enumerate(witnesses)]
    return "\n".join([*lines, quorum if quorum.startswith("group") else f"quorum {quorum}"]) + "\n"


def hashes_of(sealed: Sequence[Sealed]) -> list[bytes]:
    return [rfc6962.leaf(one.envelope) for one in sealed]


def checkpoint(
    leaves: Sequence[bytes],
    *,
    witnesses: Sequence[Signatory] = (),
    at: int = SEEN_AT,
    by: Signatory = THE_LOG,
) -> bytes:
    """The signed note of a tree."""
    text = checkpoint_text(by.name, len(leaves), rfc6962.mth(leaves))
    return note(text, by.line(text), *(one.line(text, at=at) for one in witnesses))


def tile_files(leaves: Sequence[bytes]) -> dict[str, bytes]:
    """Every tile of a tree, by its path."""
    files, row, level = dict[str, bytes](), list(leaves), 0
    while row:
        for at in range(0, len(row), 256):
            chunk = row[at : at + 256]
            files[f"tile/{level}/{_number(at // 256, len(chunk))}"] = b"".join(chunk)
        row = [rfc6962.mth(row[at : at + 256]) for at in range(0, len(row) // 256 * 256, 256)]
        level += 1
    return files


def _number(index: int, width: int) -> str:
    assert index < 1000
    return f"{index:03}" + (f".p/{width}" if width < 256 else "")


class Bundle(msgspec.Struct, kw_only=True):
    """What goes into a bundle; change it before it is written, or the folder afterwards."""

    sealed: list[Sealed]
    tier: str = "payload"
    first: int = 1
    last: int | None = None
    witnesses: tuple[Signatory, ...] = ()
    people: list[dict[str, str]] = []
    keys: list[bytes] = []

    def files(self) -> dict[str, bytes]:
        size, leaves = len(self.sealed), hashes_of(self.sealed)
        last = size if self.last is None else self.last
        manifest = {
            "format": 1,
            "origin": ORIGIN,
            "size": size,
            "from": self.first,
            "to": last,
            "tier": self.tier,
            "exported_at": "2026-03-02T00:00:00Z",
            "ledger_version": "0.1.0",
        }
        files = {"manifest.json": json.dumps(manifest).encode(), "VERIFY.md": b"# How to verify\n"}
        files["checkpoint"] = checkpoint(leaves, witnesses=self.witnesses)
        files |= tile_files(leaves)
        for index in range((self.first - 1) // 256, (last - 1) // 256 + 1 if last else 0):
            chunk = self.sealed[index * 256 : (index + 1) * 256]
            entries = (len(one.envelope).to_bytes(2, "big") + one.envelope for one in chunk)
            files[f"tile/entries/{_number(index, len(chunk))}"] = b"".join(entries)
        if self.tier != "envelope" and last:
            lines = [
                {
                    "position": at,
                    "salt": self.sealed[at - 1].salt.hex(),
                    "payload": self.sealed[at - 1].payload,
                }
                for at in range(self.first, last + 1)
            ]
            files[f"payloads/{self.first:012}.ndjson.gz"] = ndjson(lines)
        if self.tier == "disclosed":
            files["disclosed/people.ndjson.gz"] = ndjson(self.people)
            keys = [
                {"subject": ANN, "key_id": key_id_of(key), "key": base64.b64encode(key).decode()}
                for key in self.keys
            ]
            files["disclosed/keys.ndjson.gz"] = ndjson(keys)
        return files

    def write(self, folder: Path) -> Path:
        """Write the bundle anew, whatever was there."""
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in self.files().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        add_up(folder)
        return folder


def ndjson(lines: Sequence[object]) -> bytes:
    return gzip.compress(b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines))


def add_up(folder: Path) -> None:
    """Write SHA256SUMS anew: whoever changes a bundle can do that as well."""
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    )
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


def changed(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file, if it is then another one."""
    before = path.read_bytes()
    after = change(before)
    assert after != before
    path.write_bytes(after)
