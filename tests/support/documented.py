"""Holds every answer that a test sees against /openapi.json: status, headers, media type, and the code of a refusal.

A failure here means that the document lacks something: name it in the handler's ``opt`` (see
``ledger.api.openapi.description``), a code in ``ledger.api.openapi.codes``, then ``make openapi``.
"""

import json
import re
from functools import cache
from typing import Final

import httpx

from ledger.api.app import openapi

TOLD_BY_DEFAULT: Final = {"431", "500", "501"}
"""May happen to any request, and are described once, as an operation's ``default``."""
PROBLEM: Final = "application/problem+json"
OURS: Final = re.compile(
    r"ledger-.*|etag|link|retry-after|www-authenticate|location|x-request-id|ratelimit.*"
)
"""Headers that mean something to a client; the others are the same everywhere, or the protocol's business."""


class Undocumented(AssertionError):
    """The service does something that its description does not tell."""


async def check_documented(answer: httpx.Response) -> None:
    """Hold one answer against the document; what leads to no operation of it is let pass."""
    operation = _operation(answer.request.method, answer.request.url.path)
    if operation is None or "//" in answer.request.url.path or b"%2f" in answer.request.url.raw_path.lower():
        return
    call, status = f"{answer.request.method} {operation['operationId']}", str(answer.status_code)
    responses = operation["responses"]
    told = responses.get("default" if status in TOLD_BY_DEFAULT else status)
    if told is None:
        raise Undocumented(f"{call} answers {status}: {answer.text}")
    extra = {name for name in answer.headers if OURS.fullmatch(name)}
    extra -= {name.lower() for name in told.get("headers", {})}
    if extra:
        raise Undocumented(f"{call} answers {status} with {sorted(extra)}")
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if media_type == PROBLEM and answer.json()["code"] not in _codes(told, answer.json()["code"]):
        raise Undocumented(f"{call} answers {status} with the code {answer.json()['code']}")
    if answer.content and not {media_type, "*/*"} & set(told.get("content", {})):
        raise Undocumented(f"{call} answers {status} as {media_type}")


def _codes(told: dict, code: str) -> list[str]:
    """The codes that may come with a status; where none is listed, any."""
    schema = told.get("content", {}).get(PROBLEM, {}).get("schema", {})
    listed: list[str] = schema.get("properties", {}).get("code", {}).get("enum", [code])
    return listed


def _operation(method: str, path: str) -> dict | None:
    for pattern, operations in _paths():
        if pattern.fullmatch(path):
            return operations.get(method.lower())
    return None


@cache
def _paths() -> list[tuple[re.Pattern[str], dict]]:
    """Every path as a pattern; those with fewer parameters come first, as in the router."""
    paths = json.loads(openapi())["paths"]
    ordered = sorted(paths, key=lambda path: path.count("{"))
    return [
        (re.compile(re.sub(r"{\w+}", "[^/]+", path.replace("{path}", ".+"))), paths[path]) for path in ordered
    ]
