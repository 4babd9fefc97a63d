"""Whatever JSON comes in, the answer is one of those the contract knows, and never a fault of ours."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.databases import Cluster
from tests.support.http import Api, cheap_passwords, registration, serving, submission, verdict

KNOWN = {200, 400, 401, 403, 404, 409, 412, 413, 415, 422}
CALLS = {
    "/api/decisions/submit": submission("fuzzed"),
    "/api/decisions/fuzzed/decide": verdict("fuzzed"),
    "/api/auth/register": registration("fuzzed"),
}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


class House:
    """A service with a loop of its own, for tests that hypothesis runs many times over."""

    def __init__(self, runner: asyncio.Runner, api: Api, headers: dict[str, str]) -> None:
        self._runner, self._api, self._headers = runner, api, headers

    def post(self, path: str, body: bytes) -> tuple[int, bool]:
        """The status, and whether the log grew."""
        return self._runner.run(self._post(path, body))

    async def _post(self, path: str, body: bytes) -> tuple[int, bool]:
        before = await self._api.ledger.head()
        headers = {**self._headers, "content-type": "application/json"}
        answer = await self._api.client.post(path, headers=headers, content=body)
        assert "application/" in answer.headers["content-type"]
        return answer.status_code, await self._api.ledger.head() > before


@pytest.fixture(scope="module")
def house(postgres: Cluster) -> Iterator[House]:
    with asyncio.Runner() as runner:
        opened = postgres.fresh()
        database = runner.run(opened.__aenter__())
        served = serving(database, passwords=cheap_passwords())
        api = runner.run(served.__aenter__())
        try:
            yield House(runner, api, runner.run(api.login()))
        finally:
            runner.run(served.__aexit__(None, None, None))
            runner.run(opened.__aexit__(None, None, None))


quickly = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize("path", CALLS)
@quickly
@given(data=st.data())
def test_a_good_body_with_strange_values_gets_a_known_answer(
    house: House, path: str, data: st.DataObject
) -> None:
    fields = sorted(CALLS[path])
    changed = data.draw(st.dictionaries(st.sampled_from(fields), VALUES, min_size=1, max_size=4))
    missing = data.draw(st.sets(st.sampled_from(fields), max_size=2))
    body = {key: value for key, value in {**CALLS[path], **changed}.items() if key not in missing}

    status, grew = house.post(path, msgspec.json.encode(body))

    assert status in KNOWN
    assert grew is (status == 200)


@pytest.mark.parametrize("path", CALLS)
@quickly
@given(body=VALUES.map(msgspec.json.encode) | st.binary(max_size=60))
def test_any_body_at_all_gets_a_known_answer(house: House, path: str, body: bytes) -> None:
    status, grew = house.post(path, body)

    assert status in KNOWN - {200}
    assert grew is False


@pytest.mark.parametrize("path", CALLS)
@quickly
@given(data=st.data())
def test_a_good_body_with_bytes_changed_gets_a_known_answer(
    house: House, path: str, data: st.DataObject
) -> None:
    body = bytearray(msgspec.json.encode(CALLS[path]))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    status, grew = house.post(path, bytes(body))

    assert status in KNOWN
    assert grew is (status == 200)
