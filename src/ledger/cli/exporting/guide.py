"""What a bundle says about itself: how to verify it, with our tool and without it."""

from typing import Final

from ledger.cli.exporting.source import Wish
from ledger.domain.export.events import Tier
from ledger.sealing.notes import checkpoint_in

GUIDE: Final = """# How to verify this bundle

This folder holds positions {first} to {last} of the ledger `{origin}`, of a tree of {size} events, with {tier}.
Nothing in it is to be believed because it is in it: what you need from elsewhere is a **policy**, a text file with
the ledger's public key and, if there are any, those of its witnesses. Get it from whoever you trust to know them, by
another way than this bundle came:

```
log <the ledger's key, as 'ledger notary status' shows it to its operator>
quorum none
```

With witnesses, one line `witness NAME KEY` each, a line `group NAME COUNT WITNESS…`, and `quorum NAME` (the format is
C2SP tlog-policy).

## With the tool

The tool is the package `decision-ledger`. Install it from its source, as you got it from its makers or from the operator,
of the version that `manifest.json` names (`ledger_version`); never by that name from a public index, where it is
somebody else's package. The verifier needs Python 3.11 and that source, nothing else of ours; by hand, as below, it
needs no package at all.

```
pip install .       # in the checkout
ledger audit verify THIS-FOLDER --policy policy.txt
ledger audit verify THIS-FOLDER --policy policy.txt --since last.checkpoint     # and nothing was taken back since then
```

It needs no database and no network. Exit code 0: verified. 2: tampered, and it names the first bad place. 3: this
history and that of `last.checkpoint` are two. 4: the checkpoint is not signed as the policy asks. 5: what is here is
right, and not everything is here. 1: it could not be read. Keep the file `checkpoint`: it is what `--since` compares
the next bundle with.

## By hand

1. **Nothing was damaged on the way.** `sha256sum -c SHA256SUMS`

2. **The checkpoint is signed by the ledger.** Its first lines are the ledger's name, the number of events and the
   root hash in base64; then an empty line and the signatures, one a line: `— NAME` and base64 of four bytes of key id
   and 64 bytes of Ed25519 signature over all that stands before the empty line. `KEY` is the third part, behind the
   second `+`, of the key in your policy:

   ```
   sed '/^$/,$d' checkpoint > text
   grep -F -m1 "— {origin} " checkpoint | cut -d' ' -f3 | base64 -d | tail -c 64 > signature
   (printf '\\060\\052\\060\\005\\006\\003\\053\\145\\160\\003\\041\\000'; printf %s KEY | base64 -d | tail -c 32) > key.der
   openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in text -sigfile signature
   ```

3. **The events are those of the tree.** The files `tile/entries/…` hold 256 entries each, one behind the other: two
   bytes of length, the greater first, then the entry, a line of JSON. The hash of an entry is SHA-256 of a zero byte
   and the entry; the hash of two hashes is SHA-256 of a one byte, the left and the right one. `tile/0/…` holds the
   entries' hashes, `tile/1/…` one hash for each full file of `tile/0/…`, and so on; over all of them stands the root
   of the checkpoint (RFC 6962, section 2.1; C2SP tlog-tiles). Any program for such trees can compute it.

4. **Each stream is whole.** In every entry `prev` is the hash of the entry before it with the same `stream`, and
   `version` counts from 1.
{payloads}{disclosed}{stamps}
## What this does not show

That an event was never written; and, without witnesses, that somebody else was not shown another history. Compare
checkpoints with others who have some: of two histories one is false.
"""
PAYLOADS: Final = """
5. **The payloads are those that were hashed.** Each line of `payloads/*.ndjson.gz` has a `position`, a `salt` and the
   `payload` as text; SHA-256 of salt and payload is `data` of the entry at that position:

   ```
   zcat payloads/*.ndjson.gz | head -n 1 |
   python3 -c 'import hashlib, json, sys; line = json.loads(sys.stdin.readline()); \
   print(hashlib.sha256(bytes.fromhex(line["salt"]) + line["payload"].encode()).hexdigest())'
   ```
"""
DISCLOSED: Final = """
6. **The people are who they were said to be.** `disclosed/people.ndjson.gz` says who a person id is; SHA-256 of the
   salt and of `{"email":…,"full_name":…,"username":…}`, without blanks, is the `commitment` of their event
   `account-registered`. Whoever was erased is missing: their events are proven, their name is gone.
   `disclosed/keys.ndjson.gz` opens what is sealed in payloads (`⟦sealed:v1:…⟧`); its name is the hash of the key, so
   that no other key can open it to something else. A key that is missing was erased.
"""
STAMPS: Final = """
If there is a folder `timestamps`: each `.tsr` there is the answer of a time-stamping authority (RFC 3161) about the
`.checkpoint` beside it, which has to be one of this tree. `openssl ts -reply -text -in FILE` shows it, and
`openssl ts -verify -data SIZE.checkpoint -in SIZE.tsr -CAfile authority.pem` verifies it; so does the tool with `--tsa`.
"""
WORDS: Final = {
    Tier.ENVELOPE: "envelopes alone: when, by whom, of which kind, and hashes of the content",
    Tier.PAYLOAD: "envelopes and contents, and no names",
    Tier.DISCLOSED: "envelopes, contents, names and the keys of what is sealed: treat it as personal data",
}


def guide(wish: Wish) -> str:
    """Write how to verify a bundle."""
    has_payloads, is_disclosed = wish.tier is not Tier.ENVELOPE, wish.tier is Tier.DISCLOSED
    return GUIDE.format(
        first=wish.first,
        last=wish.last,
        size=wish.size,
        origin=checkpoint_in(wish.note).origin,
        tier=WORDS[wish.tier],
        payloads=PAYLOADS if has_payloads else "",
        disclosed=DISCLOSED if is_disclosed else "",
        stamps=STAMPS,
    )
