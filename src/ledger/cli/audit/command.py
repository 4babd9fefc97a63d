"""``ledger audit verify`` and ``check``: what auditors run, with no database and none of the service's settings."""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from cyclopts import Parameter

from ledger.cli.audit.report import print_checked, print_evidence, print_report
from ledger.verifier.kinds import Kind, check_file
from ledger.verifier.report import Report
from ledger.verifier.verdict import Unusable, Unverified

if TYPE_CHECKING:
    from ledger.verifier.bundle import Asked
    from ledger.verifier.policy import Policy
    from ledger.verifier.proofs import Proof

Json: TypeAlias = Annotated[bool, Parameter(negative="", help="As JSON, for programs.")]
PolicyFile: TypeAlias = Annotated[
    Path | None,
    Parameter(help="Whom you believe: a C2SP tlog-policy file that you did not get from the service."),
]

DURATION: Final = re.compile("([1-9][0-9]{0,8})([smhd])")
SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
LARGEST_FILE: Final = 1_000_000


class NotADuration(Unusable):
    """A duration is written as 90s, 30m, 1h or 7d."""

    code = "not-a-duration"


class NoPolicy(Unusable):
    """Without a policy nobody is believed: name the file with --policy."""

    code = "no-policy"


class FileUnreadable(Unusable):
    """A file cannot be read."""

    code = "file-unreadable"


class OneOrTheOther(Unusable):
    """Name a bundle, or say --database: what is to be verified is one of them."""

    code = "one-or-the-other"


class ProofOrEvidence(Unusable):
    """Name a proof and one of --entry and --leaf-hash, or a folder with --evidence: what is to be checked is one of them."""

    code = "proof-or-evidence"


class AboutBundles(Unusable):
    """--max-age, --tsa and --tier ask something of a bundle, and not of a database."""

    code = "about-bundles"


class TierUnknown(Unusable):
    """There is no such tier: they are envelope, payload and disclosed."""

    code = "tier-unknown"


def verify(
    bundle: Annotated[Path | None, Parameter(help="The folder of a bundle.")] = None,
    *,
    policy: PolicyFile = None,
    since: Annotated[
        Path | None, Parameter(help="An earlier checkpoint, which the log has to go on from.")
    ] = None,
    max_age: Annotated[
        str | None, Parameter(help="How old the newest word of a witness may be, like 90s, 30m, 1h or 7d.")
    ] = None,
    tsa: Annotated[
        Path | None, Parameter(help="Certificates (PEM) of the time-stamping authorities that you believe.")
    ] = None,
    tier: Annotated[
        str, Parameter(help="What the bundle has to hold at least: envelope, payload or disclosed.")
    ] = "envelope",
    database: Annotated[
        bool,
        Parameter(negative="", help="Verify the rows of this installation's database; reads its settings."),
    ] = False,
    json: Json = False,
) -> int:
    """Verify a BUNDLE, alone and offline; or the live rows with --database.

    Exit codes: 0 verified, 1 not usable, 2 tampered, 3 a fork, 4 the policy is not met, 5 verified as far as it goes.
    """
    report = Report()
    try:
        if (bundle is None) is not database:
            raise OneOrTheOther
        if bundle is None:
            if (max_age, tsa, tier) != (None, None, "envelope"):
                raise AboutBundles
            report = _verify_rows(policy, since)
        else:
            report = _verify_bundle(bundle, _asked(policy, since, max_age, tsa, tier))
    except Unverified as wrong:
        report.found_wrong(wrong)
    print_report(report, as_json=json)
    return report.verdict


def check(
    proof: Annotated[Path | None, Parameter(help="The file of a proof, e.tlog-proof.")] = None,
    *,
    entry: Annotated[
        Path | None, Parameter(help="The file of the entry: the envelope, byte for byte.")
    ] = None,
    leaf_hash: Annotated[
        str | None,
        Parameter(help="Instead of the entry: its hash, as the header Ledger-Leaf-Hash of an answer has it."),
    ] = None,
    evidence: Annotated[
        Path | None, Parameter(help="Instead of a proof: a folder of evidence of one decision.")
    ] = None,
    policy: PolicyFile = None,
    json: Json = False,
) -> int:
    """Check that a log of the policy has sealed exactly the bytes of an entry, or its hash; or of all about one decision.

    Exit codes: 0 it has, 1 not usable, 2 tampered, 4 the policy is not met, 5 verified as far as it goes.
    """
    if evidence is not None:
        return _check_evidence(
            evidence, policy, has_more=(proof, entry, leaf_hash) != (None, None, None), json=json
        )
    from ledger.verifier.policy import parse_policy
    from ledger.verifier.proofs import parse_proof

    report = Report()
    try:
        if proof is None or (entry is None) is (leaf_hash is None):
            raise ProofOrEvidence
        believed = parse_policy(read_file(_needed(policy)))
        claim = parse_proof(_read_kind(proof, Kind.PROOF))
        _check_claim(report, claim, believed, entry=entry, leaf_hash=leaf_hash)
    except Unverified as wrong:
        report.found_wrong(wrong)
    print_checked(report, as_json=json)
    return report.verdict


def _check_claim(
    report: Report, claim: "Proof", believed: "Policy", *, entry: Path | None, leaf_hash: str | None
) -> None:
    from ledger.verifier.proofs import check_leaf_proof, check_proof, parse_leaf_hash
    from ledger.verifier.report import Checked, attested_by, checked_entry

    if entry is not None:
        content = _read_kind(entry, Kind.ENTRY)
        by, checked = check_proof(claim, content, believed), checked_entry(content)
    else:
        leaf = parse_leaf_hash(leaf_hash or "")
        by, checked = check_leaf_proof(claim, leaf, believed), Checked(leaf_hash=leaf.hex())
    report.attested, report.checked = attested_by(by, believed.quorum), checked
    report.first = report.last = claim.index + 1


def _check_evidence(folder: Path, policy: Path | None, *, has_more: bool, json: bool) -> int:
    from ledger.verifier.evidence import verify_evidence
    from ledger.verifier.policy import parse_policy

    report = Report()
    try:
        if has_more:
            raise ProofOrEvidence
        report = verify_evidence(folder, parse_policy(read_file(_needed(policy))))
    except Unverified as wrong:
        report.found_wrong(wrong)
    except OSError as lost:
        report.found_wrong(FileUnreadable(file=str(lost.filename), reason=lost.strerror))
    print_evidence(report, as_json=json)
    return report.verdict


def read_file(path: Path) -> bytes:
    """Read a small file that somebody named.

    Raises:
        FileUnreadable: it is not there, or not small.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as lost:
        raise FileUnreadable(file=str(path), reason=lost.strerror) from lost
    if len(content) > LARGEST_FILE:
        raise FileUnreadable(file=str(path), reason="too large for what it should be")
    return content


def _read_kind(path: Path, wanted: Kind) -> bytes:
    content = read_file(path)
    check_file(str(path), content, wanted)
    return content


def seconds(duration: str) -> int:
    """Read a duration.

    Raises:
        NotADuration: it is none.
    """
    found = DURATION.fullmatch(duration)
    if found is None:
        raise NotADuration(given=duration)
    return int(found[1]) * SECONDS[found[2]]


def _verify_rows(policy: Path | None, since: Path | None) -> Report:
    from ledger.cli.audit.database import verify_rows

    return verify_rows(
        None if policy is None else read_file(policy),
        None if since is None else _read_kind(since, Kind.CHECKPOINT),
    )


def _verify_bundle(bundle: Path, asked: "Asked") -> Report:
    from ledger.cli.progress import Bar
    from ledger.verifier.bundle import verify_bundle

    with Bar("Verifying") as bar:
        try:
            return verify_bundle(bundle, asked, bar.to)
        except OSError as lost:
            raise FileUnreadable(file=str(lost.filename), reason=lost.strerror) from lost


def _asked(
    policy: Path | None, since: Path | None, max_age: str | None, tsa: Path | None, tier: str
) -> "Asked":
    from ledger.verifier.bundle import Asked
    from ledger.verifier.checkpoint import parse_checkpoint
    from ledger.verifier.manifest import Tier
    from ledger.verifier.policy import parse_policy
    from ledger.verifier.stamps import parse_authorities

    if tier not in set(Tier):
        raise TierUnknown(given=tier)
    return Asked(
        policy=parse_policy(read_file(_needed(policy))),
        now=int(time.time()),
        since=None if since is None else parse_checkpoint(_read_kind(since, Kind.CHECKPOINT)),
        tier=Tier(tier),
        max_age=None if max_age is None else seconds(max_age),
        authorities=None if tsa is None else parse_authorities(read_file(tsa)),
    )


def _needed(policy: Path | None) -> Path:
    if policy is None:
        raise NoPolicy
    return policy
