"""Bodies that are too large, of another type, not JSON or not text are refused and leave no event."""

import gzip
from collections.abc import AsyncIterator

import msgspec
import pytest
from httpx import Response

from ledger.api.permissions import PERMISSIONS, PUBLIC
from tests.api.answers import assert_refused, submit, together, wrong_fields
from tests.support.databases import Database
from tests.support.http import PASSWORD, Api, cheap_passwords, registration, serving, submission, verdict

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}
MEGABYTES_30 = 30_000_000
DEEP = 100_000

JSON_CALLS: dict[str, dict[str, object]] = {
    "/api/auth/register": registration("morgan"),
    "/api/auth/refresh": {"refresh_token": "token"},
    "/api/auth/2fa/verify": {"code": "123456"},
    "/api/auth/users/sam/deactivate": {"reason": "left"},
    "/api/auth/users/sam/reactivate": {"reason": "came back"},
    "/api/auth/users/sam/role": {"role": "viewer", "reason": "another job"},
    "/api/auth/users/sam/password": {"new_password": "long enough", "current_password": "x", "reason": "y"},
    "/api/decisions/submit": submission("an-item"),
    "/api/decisions/an-item/decide": verdict("an-item", "escalated", escalation_reason="not sure"),
}
TEXTS = [
    (path, field)
    for path, body in JSON_CALLS.items()
    for field, value in body.items()
    if isinstance(value, str) and field not in ("role", "priority", "status", "created_at")
]
LISTS = ["iocs", "ttps", "recommended_actions"]
NO_BODY_CALLS = [
    "/api/auth/logout",
    "/api/auth/2fa/setup",
    "/api/decisions/an-item/escalate?escalation_reason=x",
]

FROM_ANYBODY = sorted(
    call for call, roles in PERMISSIONS.items() if roles is PUBLIC and call.startswith("POST ")
)


async def _post(
    api: Api, by: dict[str, str], path: str, body: bytes, kind: dict[str, str] = JSON
) -> Response:
    """Send a bad body; nothing may have happened."""
    before = await api.ledger.head()
    answer = await api.client.post(path, headers={**by, **kind}, content=body)
    assert await api.ledger.head() == before
    return answer


@together
@pytest.mark.parametrize(("path", "field"), TEXTS)
@pytest.mark.parametrize("spelled", [b"\\u0000", b"before\\u0000after"])
async def test_a_nul_in_a_text_is_refused_and_the_field_named(
    shared: Api, admin: dict[str, str], path: str, field: str, spelled: bytes
) -> None:
    body = {**JSON_CALLS[path], field: msgspec.Raw(b'"long enough ' + spelled + b'"')}

    assert field in wrong_fields(await _post(shared, admin, path, msgspec.json.encode(body)))


@together
@pytest.mark.parametrize("field", LISTS)
async def test_a_nul_in_a_list_is_refused_and_the_field_named(
    shared: Api, admin: dict[str, str], field: str
) -> None:
    body = submission("an-item", **{field: ["fine", msgspec.Raw(b'"a\\u0000b"')]})

    answer = await _post(shared, admin, "/api/decisions/submit", msgspec.json.encode(body))

    assert wrong_fields(answer) == {field}


@together
@pytest.mark.parametrize(("path", "field"), TEXTS)
@pytest.mark.parametrize(
    "garbled", [b"\\ud800", b"\\udfff", b"\\ud83e x", b"\xed\xa0\x80", b"\xff", b"\xc3\x28", b"\xc0\x80"]
)
async def test_half_a_character_is_refused(
    shared: Api, admin: dict[str, str], path: str, field: str, garbled: bytes
) -> None:
    marked = msgspec.json.encode({**JSON_CALLS[path], field: "long enough HERE"})

    assert_refused(await _post(shared, admin, path, marked.replace(b"HERE", garbled)), 422)


@together
@pytest.mark.parametrize("path", JSON_CALLS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"}",
        b'{"a":1,}',
        b"{'a': 1}",
        b"nonsense",
        b"null",
        b"[]",
        b"3",
        b'"text"',
        b"{}{}",
        b"\x00",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b'{"a":"\n"}',
        b'{"a": NaN}',
    ],
)
async def test_what_is_not_a_json_object_is_refused(
    shared: Api, admin: dict[str, str], path: str, body: bytes
) -> None:
    assert_refused(await _post(shared, admin, path, body), 422)


@together
@pytest.mark.parametrize("path", JSON_CALLS)
@pytest.mark.parametrize("opened", [b"[", b'{"a":'])
async def test_a_hundred_thousand_brackets_are_refused(
    shared: Api, admin: dict[str, str], path: str, opened: bytes
) -> None:
    field = next(iter(JSON_CALLS[path])).encode()
    most = 413 if f"POST {path}" in FROM_ANYBODY else 422  # who is not known may not send so many
    closed = b"]" if opened == b"[" else b"}"
    inside = opened * DEEP + b"1" + closed * DEEP

    for body in (opened * DEEP, inside, b'{"%b":%b}' % (field, inside), b'{"unknown":%b}' % inside):
        assert_refused(await _post(shared, admin, path, body), most)


@together
@pytest.mark.parametrize("path", JSON_CALLS)
async def test_every_missing_field_is_named(shared: Api, admin: dict[str, str], path: str) -> None:
    optional = (
        {"role"} if path.endswith("register") else {"incident_id", "attributed_actor", "escalation_reason"}
    )
    optional |= {"current_password", "reason"} if path.endswith("password") else set()

    answer = await _post(shared, admin, path, b"{}")

    assert wrong_fields(answer) == set(JSON_CALLS[path]) - optional


@together
@pytest.mark.parametrize("path", JSON_CALLS)
@pytest.mark.parametrize("value", [b"3", b"true", b"[]", b"{}", b"1e400", b"-0.0"])
async def test_every_mistyped_field_is_named(
    shared: Api, admin: dict[str, str], path: str, value: bytes
) -> None:
    texts = {field for of, field in TEXTS if of == path}
    body = {**JSON_CALLS[path], **dict.fromkeys(texts, msgspec.Raw(value))}

    assert texts <= wrong_fields(await _post(shared, admin, path, msgspec.json.encode(body)))


@together
@pytest.mark.parametrize("path", JSON_CALLS)
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/jsonp",
        ";;;",
        "",
    ],
)
async def test_another_content_type_is_refused(
    shared: Api, admin: dict[str, str], path: str, kind: str
) -> None:
    body = msgspec.json.encode(JSON_CALLS[path])

    assert_refused(await _post(shared, admin, path, body, {"content-type": kind}), 415)


@together
@pytest.mark.parametrize(
    ("header", "value", "told"),
    [
        ("content-type", "application/json; charset=latin-1", "application/json; charset=latin-1"),
        ("content-encoding", "gzip", "content-encoding gzip"),
    ],
)
async def test_a_body_of_the_right_type_is_told_what_else_is_wrong_with_it(
    shared: Api, admin: dict[str, str], header: str, value: str, told: str
) -> None:
    headers = {"content-type": "application/json", header: value}

    answer = await _post(shared, admin, "/api/decisions/submit", gzip.compress(b"{}"), headers)

    assert_refused(answer, 415)
    assert answer.json()["context"]["got"] == told


@pytest.mark.parametrize(
    "kind", ["application/json; charset=UTF-8", "Application/JSON", "application/problem+json"]
)
async def test_json_may_be_named_in_many_ways(api: Api, kind: str) -> None:
    body = msgspec.json.encode(submission("an-item"))

    answer = await api.client.post(
        "/api/decisions/submit", headers={**await api.login(), "content-type": kind}, content=body
    )

    assert answer.status_code == 200


@together
@pytest.mark.parametrize("path", [*JSON_CALLS, "/api/auth/login", *NO_BODY_CALLS])
async def test_thirty_megabytes_are_refused(shared: Api, path: str) -> None:
    headers = await shared.login()
    kind = FORM if path.endswith("login") else JSON

    for body in (b"a" * MEGABYTES_30, _slowly(MEGABYTES_30)):
        before = await shared.ledger.head()
        answer = await shared.client.post(path, headers={**headers, **kind}, content=body)
        assert_refused(answer, 413)
        assert await shared.ledger.head() == before


async def _slowly(size: int) -> AsyncIterator[bytes]:
    """A body whose length nobody announced."""
    for _ in range(size // 1_000_000):
        yield b"a" * 1_000_000


async def test_the_limit_of_a_body_is_exact(database: Database) -> None:
    size = len(msgspec.json.encode(submission("an-item")))
    async with serving(database, passwords=cheap_passwords(), settings={"max_body_bytes": size}) as api:
        admin = await api.login()
        await submit(api, admin, "an-item")

        answer = await _post(api, admin, "/api/decisions/submit", msgspec.json.encode(submission("an-item-")))

    assert_refused(answer, 413, "LEDGER_MAX_BODY_BYTES")


@together
@pytest.mark.parametrize("call", FROM_ANYBODY)
async def test_who_is_not_known_may_send_little(shared: Api, call: str) -> None:
    """So many requests as are let in at once would fill the memory with it."""
    body = b"a" * (16 * 1024 + 1)

    assert_refused(await _post(shared, {}, call.partition(" ")[2], body), 413)


@together
@pytest.mark.parametrize("length", ["abc", "1.5", "0x10"])
async def test_a_length_that_is_no_number_is_refused(shared: Api, admin: dict[str, str], length: str) -> None:
    kind = {**JSON, "content-length": length}

    assert_refused(await _post(shared, admin, "/api/decisions/submit", b"{}", kind), 422)


@together
@pytest.mark.parametrize(
    "body", [b"username=%ff&password=x", b"username=\xff&password=x", b"username=%ed%a0%80&password=x"]
)
async def test_a_form_that_is_not_utf_8_is_refused(shared: Api, body: bytes) -> None:
    assert_refused(await _post(shared, {}, "/api/auth/login", body, FORM), 422)


@together
@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"", {"username", "password"}),
        (b"username=a%00b&password=12345678", {"username"}),
        (b"username=admin&password=%00", {"password"}),
        (b"username=" + b"a" * 1001 + b"&password=x", {"username"}),
        (b"&&&===", {"username", "password"}),
    ],
)
async def test_a_form_with_a_wrong_field_is_refused(shared: Api, body: bytes, wrong: set[str]) -> None:
    assert wrong_fields(await _post(shared, {}, "/api/auth/login", body, FORM)) == wrong


def _part(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name, more, value)


PASSWORD_PART = _part(b"password", b"x")


@together
@pytest.mark.parametrize(
    "body",
    [
        b"garbage",
        b"--x\r\n\r\n\r\n--x--",
        b"--x--",
        _part(b"username", b"\xff") + PASSWORD_PART + b"--x--",
        _part(b"username", b"a\x00b") + PASSWORD_PART + b"--x--",
        _part(b"username", b"sam", b"\r\nContent-Type: text/plain; charset=nope") + PASSWORD_PART + b"--x--",
        _part(b"username", b"sam", b"\r\nContent-Type: text/plain; charset=utf-16")
        + PASSWORD_PART
        + b"--x--",
        _part(b"username", b"sam", b'; filename="\xff"') + PASSWORD_PART + b"--x--",
        b"".join(_part(b"f%d" % number, b"x") for number in range(250)) + b"--x--",
        _part(b"username", b"sam") + PASSWORD_PART,
    ],
)
async def test_a_multipart_form_that_is_broken_is_refused(shared: Api, body: bytes) -> None:
    assert_refused(await _post(shared, {}, "/api/auth/login", body, MULTIPART), 422)


@together
@pytest.mark.parametrize("kind", ["multipart/form-data", 'multipart/form-data; boundary="' + "x" * 5000])
async def test_a_multipart_form_without_a_usable_boundary_is_refused(shared: Api, kind: str) -> None:
    assert_refused(await _post(shared, {}, "/api/auth/login", b"--x--", {"content-type": kind}), 422)


@together
@pytest.mark.parametrize("path", sorted(JSON_CALLS))
async def test_a_name_that_stands_twice_is_refused(shared: Api, admin: dict[str, str], path: str) -> None:
    body = msgspec.json.encode(JSON_CALLS[path])
    again = body[1:].partition(b",")[0].rstrip(b"}")

    answer = await _post(shared, admin, path, body[:-1] + b"," + again + b"}")

    assert wrong_fields(answer) == {"body"}
    assert "twice" in answer.text


REASONED = {
    "/api/auth/users/admin/deactivate": {},
    "/api/auth/users/admin/reactivate": {},
    "/api/auth/users/admin/role": {"role": "viewer"},
    "/api/auth/users/admin/password": {"new_password": "another long one", "current_password": PASSWORD},
    "/api/auth/users/admin/2fa/disable": {},
    "/api/auth/2fa/required": {"role": "viewer", "is_required": True},
}


@together
@pytest.mark.parametrize("path", sorted(REASONED))
async def test_a_reason_of_white_space_is_none(shared: Api, admin: dict[str, str], path: str) -> None:
    body = msgspec.json.encode({**REASONED[path], "reason": " \t\u00a0\n"})

    answer = await _post(shared, admin, path, body)

    assert_refused(answer, 422)
    assert answer.json()["code"] == "reason-missing"
