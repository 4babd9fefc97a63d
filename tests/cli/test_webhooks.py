"""Webhooks from the command line: how they are doing, and what was given up."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import pytest

from ledger.cli import webhooks
from ledger.cli.operating import operating
from ledger.domain.webhook.decide import NoDeadLetters, WebhookNotFound
from ledger.webhooks import administering
from ledger.webhooks.administering import Issued
from ledger.webhooks.webhooks import Webhooks
from tests.support.databases import Database
from tests.webhooks.house import operator, registered

T = TypeVar("T")

URL = "https://hooks.example.org/secret-path"
GIVE_UP = "update work.webhook_messages set state = 'dead', ended_at = now(), last_error = 'timeout'"


def on_webhooks(act: Callable[[Webhooks], Awaitable[T]]) -> T:
    async def once() -> T:
        async with operating(only="api") as services:
            return await act(services.webhooks)

    return asyncio.run(once())


async def given_up(hooks: Webhooks) -> Issued:
    issued = await registered(hooks, URL)
    for _ in range(2):
        await administering.ping(hooks, issued.webhook, operator())
    async with hooks.ledger.pool.acquire() as conn:
        await conn.execute(GIVE_UP)
    return issued


def test_dead_letters_are_shown_and_sent_again(installed: Database, capsys: pytest.CaptureFixture[str]):
    hook = str(on_webhooks(given_up).webhook)
    capsys.readouterr()

    webhooks.show()
    table = capsys.readouterr().out
    assert hook in table
    assert "https://hooks.example.org" in table
    assert "secret-path" not in table
    assert webhooks.dead(json=True) == 2
    letters = json.loads(capsys.readouterr().out)
    assert [one["letter"]["last_error"] for one in letters] == ["timeout", "timeout"]
    assert webhooks.dead(hook) == 2
    assert letters[0]["letter"]["message_id"] in capsys.readouterr().out

    webhooks.replay(hook, reason="mended")

    assert capsys.readouterr().out == "2 sent again.\n"
    assert webhooks.dead() == 0
    capsys.readouterr()
    webhooks.show(json=True)
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["messages_waiting"], shown["dead_letters"]) == (2, 0)
    with pytest.raises(NoDeadLetters):
        webhooks.replay(hook)


@pytest.mark.parametrize("text", ["0197a000-0000-7000-8000-000000000000", "no-id"])
def test_what_does_not_exist_is_not_found(installed: Database, text: str):
    with pytest.raises(WebhookNotFound):
        webhooks.dead(text)
    with pytest.raises(WebhookNotFound):
        webhooks.replay(text)


def test_a_receiver_that_is_left_alone_for_a_while_is_shown_as_resting(
    installed: Database, capsys: pytest.CaptureFixture[str]
):
    async def rests(hooks: Webhooks, year: int) -> None:
        until = datetime(year, 3, 1, 8, 30, tzinfo=UTC)
        async with hooks.ledger.pool.acquire() as conn:
            await conn.execute("update work.webhooks set failures = 5, open_until = $1", until)

    on_webhooks(given_up)
    on_webhooks(lambda hooks: rests(hooks, 2126))
    capsys.readouterr()
    webhooks.show()
    assert "resting until 2126-03-01 08:30:00 UTC" in capsys.readouterr().out
    webhooks.show(json=True)
    assert json.loads(capsys.readouterr().out)[0]["resting_until"] == "2126-03-01T08:30:00Z"

    on_webhooks(lambda hooks: rests(hooks, 2026))
    capsys.readouterr()
    webhooks.show()
    assert "active" in capsys.readouterr().out
