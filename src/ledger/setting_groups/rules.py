"""What settings owe each other."""

from collections.abc import Iterator
from typing import Final

from ledger.identity.guessable import is_guessable_key, is_guessable_password
from ledger.setting_groups.chosen import Chosen
from ledger.setting_values import SECRET_KEY_CHARACTERS, Problem


def _pool(settings: Chosen) -> Iterator[Problem]:
    least, most = settings.db_pool_min_size, settings.db_pool_max_size
    if least > most:
        about = "LEDGER_DB_POOL_MIN_SIZE"
        yield Problem(about, f"{least} is above LEDGER_DB_POOL_MAX_SIZE, {most}; lower it or raise the other")


def _metrics(settings: Chosen) -> Iterator[Problem]:
    if settings.metrics_port and settings.metrics_port == settings.port:
        advice = "is LEDGER_PORT too; choose another, or leave it out to have the metrics there"
        yield Problem("LEDGER_METRICS_PORT", advice)


def _guard(settings: Chosen) -> Iterator[Problem]:
    """Refuse a guard that a restored backup of the ledger would bring along."""
    if settings.notary_state_url is not None and settings.notary_state_url in {
        settings.database_url,
        settings.owner_database_url,
    }:
        about = "LEDGER_NOTARY_STATE_URL"
        yield Problem(
            about, "must be another database than the ledger's: it guards against a restore of that one"
        )


def _forkable(settings: Chosen) -> Iterator[Problem]:
    """Refuse a key that several hosts may have beside a guard that only this one has: each would sign what it sees."""
    if (
        settings.is_production
        and settings.notary
        and settings.notary_key
        and settings.notary_state_url is None
    ):
        yield Problem(
            "LEDGER_NOTARY_KEY",
            "needs LEDGER_NOTARY_STATE_URL beside it in production: the same for all that have the key, or two of them "
            "could sign two histories; a file:///… where only this host seals; or LEDGER_NOTARY=false",
        )


def _owner(settings: Chosen) -> Iterator[Problem]:
    if settings.owner_database_url is not None and settings.database_url is None:
        yield Problem(
            "LEDGER_OWNER_DATABASE_URL", "needs LEDGER_DATABASE_URL, the service's own login, beside it"
        )


def production(settings: Chosen) -> Iterator[Problem]:
    """Refuse what is convenient and not safe."""
    if not settings.is_production:
        return
    key, password = settings.secret_key, settings.admin_password
    advice = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
    if key is None:
        yield Problem(
            "LEDGER_SECRET_KEY", f"production needs at least {SECRET_KEY_CHARACTERS} characters; {advice}"
        )
    elif is_guessable_key(key.get_secret_value()):
        yield Problem("LEDGER_SECRET_KEY", f"is easy to guess; {advice}")
    if any(is_guessable_key(previous.get_secret_value()) for previous in settings.previous_secret_keys):
        yield Problem("LEDGER_PREVIOUS_SECRET_KEYS", "holds a key that is easy to guess; leave it out")
    if password is not None and is_guessable_password(password.get_secret_value(), settings.admin_username):
        yield Problem(
            "LEDGER_ADMIN_PASSWORD", "is easy to guess; choose another, or none to have a random one made"
        )


RULES: Final = (
    (("db_pool_min_size", "db_pool_max_size"), _pool),
    (("port", "metrics_port"), _metrics),
    (("database_url", "owner_database_url"), _owner),
    (("database_url", "owner_database_url", "notary_state_url"), _guard),
    (("environment", "notary", "notary_key", "notary_state_url"), _forkable),
    (
        ("environment", "secret_key", "previous_secret_keys", "admin_username", "admin_password"),
        production,
    ),
)
"""What settings owe each other; a rule is left out when one of its fields could not be read."""
