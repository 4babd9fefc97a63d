"""Who there is, in which groups, and who leads: changed by administrators, read by those who oversee or work."""

import asyncio

import pytest
from httpx import Response

from tests.api.answers import assert_refused, together, wrong_fields
from tests.support.http import ADMIN, Api

IN_TWO = ("groups", {"groups": ["tier-2", "malware"], "reason": "new team"})
LEADS = ("lead", {"lead": True, "reason": "runs the shift"})
ORDERS = [IN_TWO, LEADS]


async def order(
    api: Api, headers: dict[str, str], username: str, what: str, body: dict[str, object]
) -> Response:
    return await api.client.post(f"/api/auth/users/{username}/{what}", headers=headers, json=body)


async def listed(api: Api, headers: dict[str, str], what: str = "users", **query: str | int) -> list:
    answer = await api.client.get(f"/api/auth/{what}", headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    assert "Ledger-View-Stale" not in answer.headers
    return answer.json()


async def test_who_is_placed_knows_it_in_the_session_that_goes_on(api: Api) -> None:
    sam, admin = await api.newcomer("sam"), await api.login()
    before = (await api.client.get("/api/auth/me", headers=sam)).json()
    assert (before["groups"], before["is_lead"]) == ([], False)

    answers = [await order(api, admin, "sam", *wish) for wish in ORDERS]

    assert [(answer.status_code, answer.json()["message"]) for answer in answers] == [
        (200, "Groups changed"),
        (200, "Lead changed"),
    ]
    assert all(int(answer.headers["Ledger-Position"]) > 0 for answer in answers)
    after = (await api.client.get("/api/auth/me", headers=sam)).json()
    assert (after["groups"], after["is_lead"]) == (["malware", "tier-2"], True)


async def test_the_lists_show_a_change_once_it_has_answered(api: Api, second: Api) -> None:
    await api.newcomer("sam")
    admin = await api.login()
    for wish in ORDERS:
        await order(api, admin, "sam", *wish)

    (sam,) = [one for one in await listed(api, admin) if one["username"] == "sam"]
    registered_at = sam.pop("registered_at")
    assert registered_at.endswith("Z")
    assert sam == {
        "username": "sam",
        "role": "analyst",
        "groups": ["malware", "tier-2"],
        "is_lead": True,
        "is_active": True,
        "is_2fa_enabled": False,
    }
    assert await listed(api, admin, "groups") == [
        {"group": "malware", "members": ["sam"]},
        {"group": "tier-2", "members": ["sam"]},
    ]

    await order(api, admin, "sam", "groups", {"groups": [], "reason": "left the team"})
    await order(api, admin, "sam", "lead", {"lead": False, "reason": "left the shift"})
    (sam,) = [one for one in await listed(api, admin) if one["username"] == "sam"]
    assert (sam["groups"], sam["is_lead"]) == ([], False)
    assert await listed(api, admin, "groups") == []


async def test_who_is_kept_out_is_listed_as_such_and_in_no_group(api: Api) -> None:
    await api.newcomer("sam")
    admin = await api.login()
    await order(api, admin, "sam", *IN_TWO)

    await order(api, admin, "sam", "deactivate", {"reason": "left"})

    (sam,) = [one for one in await listed(api, admin) if one["username"] == "sam"]
    assert (sam["is_active"], sam["groups"]) == (False, ["malware", "tier-2"])
    assert await listed(api, admin, "groups") == []


async def test_another_role_takes_the_place_away(api: Api) -> None:
    await api.newcomer("sam")
    admin = await api.login()
    for wish in ORDERS:
        await order(api, admin, "sam", *wish)

    await order(api, admin, "sam", "role", {"role": "viewer", "reason": "other job"})

    me = (await api.client.get("/api/auth/me", headers=await api.login("sam"))).json()
    assert (me["role"], me["groups"], me["is_lead"]) == ("viewer", [], False)


async def test_a_change_sent_again_with_its_key_has_its_answer(api: Api) -> None:
    await api.newcomer("sam")
    admin = {**await api.login(), "Idempotency-Key": "once"}

    first, again = [await order(api, admin, "sam", *IN_TWO) for _ in range(2)]

    assert first.headers["Ledger-Position"] == again.headers["Ledger-Position"]


async def test_of_two_changes_at_once_the_later_one_holds_whole(api: Api, second: Api) -> None:
    await api.newcomer("sam")
    admin = await api.login()
    wishes = [["tier-1", "malware"], ["tier-2", "phishing"]]

    answers = await asyncio.gather(
        *(
            order(instance, admin, "sam", "groups", {"groups": wish, "reason": "new team"})
            for instance, wish in zip((api, second), wishes, strict=True)
        )
    )

    assert [answer.status_code for answer in answers] == [200, 200]
    last = max((0, 1), key=lambda one: int(answers[one].headers["Ledger-Position"]))
    (sam,) = [one for one in await listed(api, admin) if one["username"] == "sam"]
    assert sam["groups"] == sorted(wishes[last])


async def test_lists_go_on_where_their_link_says(api: Api) -> None:
    admin = await api.login()
    for number in range(3):
        await api.newcomer(f"sam&{number}+co")
        await order(
            api, admin, f"sam&{number}+co", "groups", {"groups": [f"g{number}"], "reason": "new team"}
        )
    for what, name, whole in (
        ("users", "username", [ADMIN, "sam&0+co", "sam&1+co", "sam&2+co"]),
        ("groups", "group", ["g0", "g1", "g2"]),
    ):
        found, address = [], f"/api/auth/{what}?limit=1"
        while address:
            answer = await api.client.get(address, headers=admin)
            found += [one[name] for one in answer.json()]
            address = answer.links.get("next", {}).get("url")
        assert found == whole


@together
@pytest.mark.parametrize(("what", "body"), ORDERS)
async def test_only_administrators_place_people(
    shared: Api, analyst: dict[str, str], what: str, body: dict[str, object]
) -> None:
    assert_refused(await order(shared, analyst, ADMIN, what, body), 403, "Admin access required")
    assert_refused(await order(shared, {}, ADMIN, what, body), 401, "Not authenticated")


@together
@pytest.mark.parametrize(("what", "body"), ORDERS)
async def test_nobody_is_not_placed(
    shared: Api, admin: dict[str, str], what: str, body: dict[str, object]
) -> None:
    assert_refused(await order(shared, admin, "nobody", what, body), 404, "not found")


@together
async def test_a_place_that_is_not_for_the_role_is_a_conflict(shared: Api, admin: dict[str, str]) -> None:
    await shared.newcomer("vic", "viewer")

    groups = await order(shared, admin, "vic", *IN_TWO)
    lead = await order(shared, admin, "vic", *LEADS)
    admins = await order(shared, admin, ADMIN, *LEADS)

    assert_refused(groups, 409, "analysts and administrators")
    assert_refused(lead, 409, "Only active analysts lead")
    assert [answer.json()["code"] for answer in (groups, lead, admins)] == [
        "not-a-decider",
        "not-an-analyst",
        "not-an-analyst",
    ]


@together
@pytest.mark.parametrize(
    ("what", "body", "wrong"),
    [
        ("groups", {}, {"groups", "reason"}),
        ("groups", {"groups": "tier-2", "reason": "x"}, {"groups"}),
        ("groups", {"groups": ["ok", "Not Ok"], "reason": "x"}, {"groups"}),
        ("groups", {"groups": ["a" * 51], "reason": "x"}, {"groups"}),
        ("groups", {"groups": [""], "reason": ""}, {"groups", "reason"}),
        ("groups", {"groups": ["a"] * 51, "reason": "x"}, {"groups"}),
        ("lead", {}, {"lead", "reason"}),
        ("lead", {"lead": "yes", "reason": 3}, {"lead", "reason"}),
        ("lead", {"lead": None, "reason": ""}, {"lead", "reason"}),
    ],
)
async def test_wrong_fields_are_named(
    shared: Api, admin: dict[str, str], what: str, body: dict[str, object], wrong: set[str]
) -> None:
    assert wrong_fields(await order(shared, admin, ADMIN, what, body)) == wrong


@together
@pytest.mark.parametrize(("what", "body"), ORDERS)
async def test_fields_that_our_calls_do_not_know_are_refused(
    shared: Api, admin: dict[str, str], what: str, body: dict[str, object]
) -> None:
    answer = await order(shared, admin, ADMIN, what, {**body, "because": "of a typing error"})

    assert answer.status_code == 422


@together
@pytest.mark.parametrize(
    ("what", "body", "code"),
    [
        ("groups", {"groups": ["a\n"], "reason": "x"}, "malformed-group-name"),
        ("groups", {"groups": [], "reason": " "}, "reason-missing"),
        ("lead", {"lead": True, "reason": " "}, "reason-missing"),
    ],
)
async def test_what_only_the_rules_see_is_not_well_formed_either(
    shared: Api, admin: dict[str, str], what: str, body: dict[str, object], code: str
) -> None:
    answer = await order(shared, admin, ADMIN, what, body)

    assert_refused(answer, 422)
    assert answer.json()["code"] == code


@together
@pytest.mark.parametrize("what", ["users", "groups"])
@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"cursor": "x" * 1001}, "cursor"),
        ({"cursor": "\0"}, "cursor"),
    ],
)
async def test_a_page_has_bounds(
    shared: Api, admin: dict[str, str], what: str, query: dict[str, object], wrong: str
) -> None:
    answer = await shared.client.get(f"/api/auth/{what}", headers=admin, params=query)

    assert wrong_fields(answer) == {wrong}
