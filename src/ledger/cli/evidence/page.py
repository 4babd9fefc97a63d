"""The page for people: what was asked, who decided it under which rules, and what proves that."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from ledger.cli.evidence.dossier import Dossier, Shown
from ledger.cli.evidence.files import File, Standing
from ledger.cli.evidence.frame import page
from ledger.cli.evidence.leaves import Leaf
from ledger.cli.evidence.markup import Content, Html, element, facts, join, said, section, table
from ledger.cli.evidence.people import Participant, described
from ledger.cli.evidence.signatures import Signature
from ledger.cli.evidence.terms_told import sentences
from ledger.cli.evidence.verdict import machine_part, outcome
from ledger.domain.decision.item import kind_of
from ledger.domain.ids import Position
from ledger.history.timeline import Entry

HOW: Final = """# the policy file: the log's public key, from somebody you trust, by another way than this folder
cp policy-template.txt ../policy.txt     # then write the line "log …" into the copy; the template stays as it is

# everything at once: files, events, their order, proofs, names
ledger audit check --evidence . --policy ../policy.txt

# or by parts: nothing was damaged on the way
sha256sum -c SHA256SUMS

# each event is in the log, as it stands here
for proof in proofs/*.tlog-proof; do
  position=$(basename "$proof" .tlog-proof)
  ledger audit check "$proof" --entry "entries/$position.json" --policy ../policy.txt
done

# what it says is what was hashed: SHA-256 of salt and payload is "data" of the entry
python3 -c '
import hashlib, json
for name in ("events.ndjson", "supporting.ndjson"):
    for line in open(name, "rb"):
        e = json.loads(line)
        data = hashlib.sha256(bytes.fromhex(e["salt"]) + e["payload"].encode()).hexdigest()
        print(e["position"], data == json.loads(e["envelope"])["data"])'"""
EXACTLY: Final = "Digest of exactly this"
CLOSE: Final = timedelta(minutes=10)
NAMES: Final = (
    "A name is proven by the commitment in the event account-registered of the person: SHA-256 of the salt in "
    'people.json and of {"email":…,"full_name":…,"username":…} without blanks. Whoever was erased has no name any '
    "more; what they did stays proven."
)


def evidence_page(dossier: Dossier, files: Sequence[File]) -> bytes:
    """Write the page."""
    title = f"Evidence of decision {dossier.story.decision}"
    parts = (
        element("h1", title),
        _summary(dossier),
        _asked(dossier),
        section("The part of the machine", *(element("p", one) for one in machine_part(dossier))),
        _terms(dossier),
        _signatures(dossier),
        _timeline(dossier),
        _files(dossier, files),
        _people(dossier),
        _proofs(dossier),
        section("How to verify", element("pre", HOW), element("p", NAMES)),
        element("footer", f"Made on {moment(dossier.made_at)} from positions up to {dossier.story.last}."),
    )
    return page(title, parts)


def moment(at: datetime) -> str:
    """Write a moment as people read it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _summary(dossier: Dossier) -> Html:
    case, submitted, people = dossier.story.case, dossier.story.submitted, dossier.people
    rows = list[tuple[str, Content]](
        [
            ("Outcome", said(dossier.opener.text(outcome(dossier)))),
            ("Asked by", _somebody(people[submitted.submitted_by], dossier.story.first)),
            ("Asked on", f"{moment(submitted.at)}, recorded at position {dossier.story.first}"),
        ]
    )
    if case.on_behalf_of is not None:
        rows.append(("On behalf of", _somebody(people[case.on_behalf_of], dossier.story.first)))
    rows += [
        ("Kind", f"{kind_of(submitted.item)}, version {case.kind_version} of its form"),
        ("Urgency", case.priority.value),
        ("Policy", f"{case.policy.name}, version {case.policy.version}"),
        ("Proof", _standing(dossier)),
    ]
    return facts(rows)


def _somebody(person: Participant, at: Position) -> Html:
    return join((said(described(person.person, {person.person: person})), f", {person.described(at)}"))


def _standing(dossier: Dossier) -> Html:
    leaves = (*dossier.leaves, *dossier.supporting)
    proven = sum(leaf.proof is not None for leaf in leaves)
    if dossier.seal is None:
        return element("span", "nothing of this ledger is sealed yet: there are no proofs", class_="warn")
    size = f"checkpoint of {dossier.seal.sealed.size} events of {dossier.seal.origin}"
    if proven == len(leaves):
        return join((f"all {proven} events are proven by the {size}",))
    missing = f"{len(leaves) - proven} of {len(leaves)} events are not sealed yet"
    return join((element("span", missing, class_="warn"), f"; the others are proven by the {size}"))


def _asked(dossier: Dossier) -> Html:
    shown = list(dossier.shown())
    parts = [part for number, one in enumerate(shown) for part in _item(one, is_first=number == 0)]
    return section("What was asked", *parts)


def _item(shown: Shown, *, is_first: bool) -> Iterator[Html]:
    since = "as it was submitted" if is_first else "as its submitter changed it"
    yield element("p", f"The item {since} (position {shown.position}), as people were shown it:")
    yield element("pre", shown.item, dir="auto")
    of = "Digest of the item as it is stored, with its personal text sealed" if shown.is_sealed else EXACTLY
    yield element("p", f"{of}: ", element("span", shown.digest, class_="hash"))


def _terms(dossier: Dossier) -> Html:
    policy = dossier.story.case.policy
    told = element("ul", *(element("li", said(one)) for one in sentences(policy)))
    where = "These terms were written into the submission; no later change of the policy touched them: policy.json."
    return section(f"Under which rules: {policy.name}, version {policy.version}", told, element("p", where))


def _signatures(dossier: Dossier) -> Html:
    if not dossier.signatures:
        return section("Signatures", element("p", "Nobody signed anything."))
    return section("Signatures", *(_signature(dossier, one) for one in dossier.signatures))


def _signature(dossier: Dossier, signature: Signature) -> Html:
    person = dossier.people[signature.person]
    rows = list[tuple[str, Content]](
        [
            ("Meaning", signature.meaning),
            ("Date and time", moment(signature.at)),
            ("In the role of", person.described(signature.position)),
            ("Authenticated by", signature.authentication),
            ("Recorded at", f"position {signature.position}"),
        ]
    )
    if signature.said:
        rows.insert(2, ("Their words", said(signature.said)))
    if signature.digest is not None:
        rows.append(("What they were shown", element("span", signature.digest, class_="hash")))
    name = element("div", said(described(person.person, dossier.people)), class_="name")
    return element("div", name, facts(rows), class_="signature")


def _timeline(dossier: Dossier) -> Html:
    rows = (
        (str(entry.position), _when(entry), said(entry.who), said(entry.what)) for entry in dossier.timeline
    )
    return section("What happened", table(("Position", "When", "Who", "What"), rows))


def _when(entry: Entry) -> str:
    """Say when it happened, and when it was recorded where that was another time: it was imported then."""
    if abs(entry.recorded_at - entry.at) < CLOSE:
        return moment(entry.at)
    return f"{moment(entry.at)}, recorded {moment(entry.recorded_at)}"


def _files(dossier: Dossier, files: Sequence[File]) -> Html:
    if not files:
        return section("Attached files", element("p", "None."))
    rows = (
        (
            said(file.name),
            f"{file.event.size:,} bytes, {file.event.media_type}",
            said(described(file.event.by, dossier.people)),
            element("span", file.event.sha256, class_="hash"),
            join((file.path or "", " ", _checked(file.standing))),
        )
        for file in files
    )
    return section(
        "Attached files", table(("Name", "Size and type", "By", "SHA-256 in the log", "File"), rows)
    )


def _checked(standing: Standing) -> Html:
    is_right = standing is Standing.AS_ATTACHED
    return element("span", standing.value, **({} if is_right else {"class_": "warn"}))


def _people(dossier: Dossier) -> Html:
    rows = (
        (
            said(person.full_name()),
            said(person.username()),
            person.described(dossier.story.last),
            element("span", str(person.person), class_="hash"),
            "-" if person.registration is None else str(person.registration.position),
        )
        for person in dossier.people.values()
    )
    heads = ("Name", "User name", "What they were", "Id in the log", "Registered at position")
    return section("Who took part", table(heads, rows))


def _proofs(dossier: Dossier) -> Html:
    heads = ("Position", "Event", "Leaf hash", "Proof")
    own = table(heads, (_proof(leaf) for leaf in dossier.leaves))
    others = table(heads, (_proof(leaf) for leaf in dossier.supporting))
    told = "Events that commit to names, and that show how those who signed had logged in:"
    return section("Hashes and proofs", own, element("p", told), others)


def _proof(leaf: Leaf) -> tuple[Content, ...]:
    proof = "not sealed yet" if leaf.proof is None else f"proofs/{leaf.position}.tlog-proof"
    return (
        str(leaf.position),
        f"{leaf.stored.type}, version {leaf.stored.version} of its stream",
        element("span", leaf.stored.leaf.hex(), class_="hash"),
        proof,
    )
