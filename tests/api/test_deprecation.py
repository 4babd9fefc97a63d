"""A call that will be gone one day says so: in its answers and in the description. None is deprecated today."""

import json
from datetime import date
from typing import Final

import httpx
import pytest
from litestar import Litestar, Response, get

from ledger.api.app import openapi
from ledger.api.deprecation import Deprecation
from ledger.api.door import Door
from ledger.api.openapi.description import describe
from ledger.api.problems import on_ledger_error
from ledger.domain.errors import LedgerError, NotFound

GOING: Final = Deprecation(
    since=date(2026, 12, 1),
    sunset=date(2027, 6, 1),
    told_at="https://ledger.example.org/api-changes",
    successor="/newer",
)


@get("/older", opt={"answer": dict[str, str], "deprecated": GOING}, sync_to_thread=False)
def older() -> Response[bytes]:
    """Answer as ever."""
    return Response(b"{}", headers={"Link": '</older?after=1>; rel="next"'})


@get("/refusing", opt={"answer": dict[str, str], "deprecated": GOING}, sync_to_thread=False)
def refusing() -> Response[bytes]:
    """Refuse."""
    raise NotFound


@get("/newer", opt={"answer": dict[str, str]}, sync_to_thread=False)
def newer() -> Response[bytes]:
    """Answer."""
    return Response(b"{}")


@pytest.fixture
async def client():
    app = Litestar(
        [older, refusing, newer],
        openapi_config=None,
        logging_config=None,
        exception_handlers={LedgerError: on_ledger_error},
    )
    door = Door(app, max_in_flight=8)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=door), base_url="http://ledger") as asking:
        yield asking


@pytest.mark.parametrize(("path", "status"), [("/older", 200), ("/refusing", 404)])
async def test_every_answer_says_since_when_and_until_when(client, path, status):
    answer = await client.get(path)

    assert answer.status_code == status
    assert answer.headers["Deprecation"] == "@1796083200"
    assert answer.headers["Sunset"] == "Tue, 01 Jun 2027 00:00:00 GMT"


async def test_an_answer_says_where_it_is_written_and_what_to_call_instead(client):
    links = (await client.get("/older")).headers.get_list("Link", split_commas=True)

    assert links == [
        '</older?after=1>; rel="next"',
        '<https://ledger.example.org/api-changes>; rel="deprecation"; type="text/html"',
        '<https://ledger.example.org/api-changes>; rel="sunset"; type="text/html"',
        '</newer>; rel="successor-version"',
    ]


async def test_a_call_that_stays_says_nothing(client):
    answer = await client.get("/newer")

    assert not {"Deprecation", "Sunset", "Link"} & answer.headers.keys()


def test_the_description_says_it_of_the_call_and_of_each_answer():
    paths = json.loads(describe([older, newer], title="Small", version="1"))["paths"]

    assert paths["/older"]["get"]["deprecated"] is True
    assert paths["/older"]["get"]["x-sunset"] == "2027-06-01"
    for answer in paths["/older"]["get"]["responses"].values():
        assert {"Deprecation", "Sunset", "Link"} <= answer["headers"].keys()
    assert paths["/newer"]["get"]["deprecated"] is False
    for answer in paths["/newer"]["get"]["responses"].values():
        assert not {"Deprecation", "Sunset"} & answer["headers"].keys()


def test_less_notice_than_is_promised_cannot_be_written():
    with pytest.raises(ValueError, match="clients are promised 180 days"):
        Deprecation(since=date(2026, 12, 1), sunset=date(2027, 5, 1), told_at="/")


def test_nothing_is_deprecated_today():
    described = json.loads(openapi())["paths"].values()

    assert [one for path in described for one in path.values() if one.get("deprecated")] == []
