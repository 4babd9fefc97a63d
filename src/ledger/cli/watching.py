"""The witnesses of this installation, from the policy file that its auditors use; and the authority that stamps."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ledger.sealing.notes import Verifier
from ledger.sealing.witnesses import Watch, Witness
from ledger.setting_values import Problem
from ledger.settings import Settings, SettingsRefused
from ledger.verifier.notes import Key
from ledger.verifier.policy import Policy, parse_policy, quorum_met
from ledger.verifier.verdict import Unverified

VARIABLE: Final = "LEDGER_WITNESS_POLICY"


def watch_of(settings: Settings) -> Watch | None:
    """Say whom this installation asks for cosignatures; ``None``: nobody.

    Raises:
        SettingsRefused: the policy file does not say it.
    """
    if settings.witness_policy is None:
        return None
    policy = _read(settings.witness_policy)
    problems = list(_unusable(policy))
    if problems:
        raise SettingsRefused(problems)
    return Watch(
        witnesses=tuple(
            Witness(name=name, key=_verifier(key), url=policy.addresses.get(name))
            for name, key in policy.witnesses.items()
        ),
        quorum_met=lambda names: quorum_met(policy, names),
        logs=tuple(_verifier(key).vkey for key in policy.logs),
        late_after=timedelta(seconds=settings.witness_late_seconds),
    )


def problems_with_policy(settings: Settings) -> list[Problem]:
    """Look for what is wrong with the policy file."""
    try:
        watch_of(settings)
    except SettingsRefused as refused:
        return list(refused.problems)
    return []


def _read(path: Path) -> Policy:
    try:
        return parse_policy(path.read_bytes())
    except OSError as reason:
        told = f"{path} cannot be read: {(reason.strerror or str(reason)).lower()}"
        raise SettingsRefused([Problem(VARIABLE, told)]) from reason
    except Unverified as malformed:
        told = str(malformed).replace("(", "").replace(")", "").rstrip(".")
        raise SettingsRefused([Problem(VARIABLE, f"{path} is no policy: {told}")]) from malformed


def _unusable(policy: Policy) -> Iterator[Problem]:
    """Name what an auditor could use, and a service cannot: it has to write names down, and to connect."""
    for name, key in policy.witnesses.items():
        url = policy.addresses.get(name)
        if not (name.isprintable() and key.name.isprintable()):
            yield Problem(VARIABLE, "names of witnesses and of their keys must be printable UTF-8")
        elif url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc):
            yield Problem(
                VARIABLE, f"the witness {name} needs a URL like https://witness.example.org, or none"
            )


def _verifier(key: Key) -> Verifier:
    return Verifier(name=key.name, public=key.public, kind=key.kind)
