"""What people may do to webhooks, and what the service does."""

import pytest

from ledger.domain.authority import AdminRequired, StepUpRequired
from ledger.domain.decider import fold
from ledger.domain.errors import ReasonMissing
from ledger.domain.webhook.decide import (
    WEBHOOK,
    NoDeadLetters,
    WebhookExists,
    WebhookHeld,
    WebhookNotFound,
    WebhookNotHeld,
)
from ledger.domain.webhook.state import Active, Held, NotRegistered, Removed
from tests.builders import ADA, ANA, AUDREY, authority, later
from tests.builders.webhooks import (
    MESSAGE,
    OTHER_TERMS,
    TERMS,
    WEBHOOK_ID,
    change,
    changed,
    disable,
    disabled,
    letters_replayed,
    pause,
    paused,
    ping,
    pinged,
    register,
    registered,
    remove,
    removed,
    replay_letters,
    resume,
    resumed,
    rotate,
    rotated,
)
from tests.domain.given import Given, survives_storage

WISHES = [register, change, pause, resume, rotate, ping, replay_letters, remove]
PROTECTED = [register, change, rotate]


def given(*events):
    return Given(WEBHOOK, *events)


def test_an_administrator_registers_one():
    given().when(register(reason="the SIEM")).then(registered(reason="the SIEM"))


def test_the_operator_of_the_machine_may_too():
    given().when(register(by=None)).then(registered(by=None))


@pytest.mark.parametrize("wish", [wish for wish in WISHES if wish is not ping])
def test_a_reason_that_says_nothing_is_refused(wish):
    given(registered()).when(wish(reason=" \n")).then_refused(ReasonMissing)


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("person", [ANA, AUDREY])
def test_nobody_else_may_anything(wish, person):
    asked = wish(by=person)

    given(registered()).when(asked).then_refused(AdminRequired, role=asked.by.role.value)


@pytest.mark.parametrize("wish", PROTECTED)
def test_who_has_a_second_factor_proves_it_before_notices_go_elsewhere(wish):
    ada = authority(ADA, has_second_factor=True)

    given(registered()).when(wish(by=ada)).then_refused(StepUpRequired, within_seconds=300)


def test_a_pause_asks_for_no_second_factor():
    given(registered()).when(pause(by=authority(ADA, has_second_factor=True))).then(paused())


def test_an_id_is_used_once():
    given(registered(), removed()).when(register()).then_refused(WebhookExists, webhook=WEBHOOK_ID)


def test_other_terms_replace_the_old_ones():
    given(registered()).when(change(OTHER_TERMS)).then(changed(OTHER_TERMS))


def test_the_same_terms_again_change_nothing():
    given(registered(), changed(OTHER_TERMS)).when(change(OTHER_TERMS)).then()


def test_a_paused_one_can_be_changed_and_stays_paused():
    assert fold(WEBHOOK, [registered(), paused(), changed(OTHER_TERMS)]) == Held(OTHER_TERMS)


def test_a_paused_one_is_not_paused_again():
    given(registered(), paused()).when(pause()).then_refused(WebhookHeld)


def test_only_what_is_held_is_resumed():
    given(registered()).when(resume()).then_refused(WebhookNotHeld)
    given(registered(), paused()).when(resume(skips_missed=True)).then(resumed(skips_missed=True))


def test_a_receiver_that_is_gone_is_sent_to_no_more():
    given(registered()).when(disable()).then(disabled())


@pytest.mark.parametrize("before", [[], [paused()], [disabled()], [removed()]])
def test_it_is_disabled_once_however_many_attempts_say_so(before):
    given(*([registered()] if before else []), *before).when(disable()).then()


def test_a_disabled_one_can_be_resumed():
    given(registered(), disabled()).when(resume(reason="moved")).then(resumed(reason="moved"))


def test_a_secret_is_rotated_also_while_nothing_is_sent():
    given(registered(), paused()).when(rotate()).then(rotated())


def test_a_ping_is_for_one_that_is_sent_to():
    given(registered()).when(ping()).then(pinged())
    given(registered(), disabled()).when(ping()).then_refused(WebhookHeld)


def test_dead_letters_are_replayed_with_their_number():
    given(registered()).when(replay_letters(2, reason="mended")).then(letters_replayed(2, reason="mended"))


def test_one_dead_letter_is_named():
    given(registered()).when(replay_letters(1, message=MESSAGE)).then(letters_replayed(1, message=MESSAGE))


def test_a_replay_of_nothing_is_refused():
    given(registered()).when(replay_letters(0)).then_refused(NoDeadLetters)


@pytest.mark.parametrize("wish", [wish for wish in WISHES if wish is not register])
@pytest.mark.parametrize("before", [[], [registered(), removed()]])
def test_what_does_not_exist_is_not_found(wish, before):
    given(*before).when(wish()).then_refused(WebhookNotFound)


def test_a_life():
    assert fold(WEBHOOK, []) == NotRegistered()
    assert fold(WEBHOOK, [registered(), rotated(), pinged(), letters_replayed()]) == Active(TERMS)
    assert fold(WEBHOOK, [registered(), disabled(), resumed()]) == Active(TERMS)
    assert fold(WEBHOOK, [registered(), removed(), resumed(at=later(1))]) == Removed()


def test_what_does_not_fit_changes_nothing():
    assert fold(WEBHOOK, [paused()]) == NotRegistered()


@pytest.mark.parametrize(
    "event",
    [
        *(registered(), changed(), paused(), disabled(), resumed(), rotated(), pinged()),
        *(letters_replayed(message=MESSAGE), removed()),
    ],
)
def test_events_survive_storage(event):
    assert survives_storage(event)
