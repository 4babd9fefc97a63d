"""Every refusal that there is, is described with its code by the calls that may be refused so."""

import json
from collections.abc import Iterator
from typing import Final

import pytest

from ledger.api.app import ROUTES, openapi
from ledger.api.openapi.codes import CODES
from ledger.api.permissions import PERMISSIONS
from ledger.domain.errors import LedgerError

DESCRIBED: Final = json.loads(openapi())["paths"]
CALLS: Final = {
    f"{method.upper()} {path}": operation
    for path, operations in DESCRIBED.items()
    for method, operation in operations.items()
}
TOLD_TO_CLIENTS: Final = (
    "ledger.api",
    "ledger.domain",
    "ledger.identity",
    "ledger.payloads",
    "ledger.limiting",
)
FAMILIES: Final = {
    "faulty", "invalid", "ledger-error", "not-found", "refused", "rule-violation", "export-rule", "kind-rule",
    "policy-rule", "subject-rule",
}  # fmt: skip
ELSEWHERE: Final = {
    "client-left": "nobody is there to be told",
    "head-too-large": "of any request; described as default",
    "internal-error": "of any request; described as default",
    "malformed-http": "of what is no request",
    "malformed-message": "told over the WebSocket",
    "method-not-allowed": "of no call that there is",
    "no-handshake": "of no call that there is",
    "no-such-position": "told over the WebSocket",
    "no-web-socket-here": "of no call that there is",
    "not-your-alerts": "told over the WebSocket",
    "proof-outdated": "tried again inside, with a newer one",
    "routes-and-permissions-differ": "keeps the service from starting",
    "routes-without-admission": "keeps the service from starting",
    "secret-key-unusable": "keeps the service from starting",
    "session-already-opened": "of an id that only the service makes",
    "unknown-transfer-coding": "of any request; described as default",
}


def kinds(family: type[LedgerError]) -> Iterator[type[LedgerError]]:
    for kind in family.__subclasses__():
        yield kind
        yield from kinds(kind)


def enums(operation: dict) -> dict[str, list[str]]:
    """The codes of a call by their status."""
    found = {}
    for status, answer in operation["responses"].items():
        schema = answer.get("content", {}).get("application/problem+json", {}).get("schema", {})
        if "properties" in schema:
            found[status] = schema["properties"]["code"]["enum"]
    return found


LISTED: Final = {
    code for operation in CALLS.values() for codes in enums(operation).values() for code in codes
}


def test_every_refusal_that_a_client_can_meet_is_described():
    assert ROUTES
    there = {kind.code for kind in kinds(LedgerError) if kind.__module__.startswith(TOLD_TO_CLIENTS)}

    assert there - LISTED - FAMILIES - ELSEWHERE.keys() == set()


def test_what_is_described_nowhere_is_met_nowhere():
    assert ELSEWHERE.keys() & LISTED == set()


def test_the_table_of_codes_knows_calls_that_there_are():
    assert set(CODES) <= set(PERMISSIONS)


@pytest.mark.parametrize("call", sorted(CODES))
def test_a_code_is_described_at_the_status_it_is_told_with(call):
    described = {code for codes in enums(CALLS[call]).values() for code in codes}

    assert set(CODES[call].split()) - described == set()


def test_the_prototypes_calls_tell_with_400_what_ours_tell_with_409():
    decide, cancel = (
        enums(CALLS[f"POST /api/decisions/{{analysis_id}}/{one}"]) for one in ("decide", "cancel")
    )

    assert "already-made" in decide["400"]
    assert "already-made" not in decide["409"]
    assert "already-made" in cancel["409"]


def test_every_refusal_of_a_session_lists_its_codes():
    assert [call for call, one in CALLS.items() if "security" in one and "401" not in enums(one)] == []
