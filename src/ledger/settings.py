"""What an installation may choose, for the service and for the commands that work beside it.

Clients of a running service read settings of their own (``cli/client_settings.py``); nobody else reads the
environment. Settings are never changed after they were read, and show no secret when they are printed.
The single settings stand in ``setting_groups``, by theme.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, Self

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ledger.domain.errors import Invalid
from ledger.identity.secret_key import SecretKeyUnusable, kept_secret_key
from ledger.setting_groups.chosen import Chosen
from ledger.setting_groups.rules import RULES, production
from ledger.setting_values import SECRET_KEY_CHARACTERS, Problem

PREFIX: Final = "LEDGER_"
UNUSABLE_KEY_ADVICE: Final = "set LEDGER_SECRET_KEY, or make the file readable, or remove it"

NOT_SERVICE_SETTINGS: Final = frozenset({"LEDGER_URL", "LEDGER_TOKEN"})
"""Names that clients of a running service read; known to the service, of no meaning to it."""

TEST_PREFIX: Final = "LEDGER_TEST_"
# Kubernetes puts these into every pod when a service is called "ledger".
KUBERNETES_LINK: Final = re.compile(r"LEDGER_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_\d+_.*)")
KUBERNETES_ADVICE: Final = (
    "Kubernetes made it for a service called 'ledger': set 'enableServiceLinks: false' in the pod"
)

LISTS_OF_NETWORKS: Final = frozenset({"trusted_proxies", "webhook_allowed_networks"})


class SettingsRefused(Invalid):
    """The settings do not allow a start.

    Context: ``problems``: all of them, one line each.
    """

    code = "settings-refused"
    advice = "Change what is listed and start again."

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Take every problem that was found; a start may add its own to those of the settings."""
        super().__init__(problems=[str(problem) for problem in problems])
        self.problems = tuple(problems)

    def lines(self) -> list[str]:
        """Say what is wrong, one line a problem, after one line that says so."""
        return [f"{self.title()} {self.advice}", *(f"  - {problem}" for problem in self.problems)]


class Settings(Chosen):
    """All choices of one installation; descriptions say what a value must be.

    Build it with ``load``: a plain call checks single values, but neither reads the environment nor
    compares settings with each other.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False
    )

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read ``environ``; a variable that is empty counts as not set.

        Raises:
            SettingsRefused: with every problem there is, not just the first.
        """
        given = {name: value for name, value in environ.items() if name.upper().startswith(PREFIX)}
        problems = list(_unknown(given))
        values = {
            field: given[variable]
            for field in cls.model_fields
            if given.get(variable := variable_of(field), "") != ""
        }
        try:
            settings = cls.model_validate(values)
            unreadable: set[str] = set()
        except ValidationError as refusal:
            advice = _advice_by_field(refusal, values)
            unreadable = set(advice)
            problems += (Problem(variable_of(field), said) for field, said in advice.items())
            # The rest is judged all the same: whoever starts us wants to know everything at once.
            settings = cls.model_validate({k: v for k, v in values.items() if k not in unreadable})
        for fields, rule in RULES:
            if unreadable.isdisjoint(fields):
                problems += rule(settings)
        if problems:
            raise SettingsRefused(problems)
        return settings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the environment to ``load``, so that a test's settings are what the test wrote."""
        return (init_settings,)


def variable_of(field: str) -> str:
    """Name the environment variable of a setting."""
    return PREFIX + field.upper()


def known_names() -> list[str]:
    """List every name that may be in the environment, but for those of the tests."""
    return sorted({variable_of(field) for field in Settings.model_fields} | NOT_SERVICE_SETTINGS)


def ensure_secret_key(settings: Settings) -> SecretStr:
    """Give the key that signs tokens; in development it is made once and kept in the data folder.

    Any number of processes may ask at once: they get the same key.

    Raises:
        SettingsRefused: production without a key, or a key file that cannot be used.
    """
    if settings.secret_key is not None:
        return settings.secret_key
    if settings.is_production:
        raise SettingsRefused(list(production(settings)))
    path = settings.data_dir.absolute() / "secret_key"
    try:
        key = kept_secret_key(path)
    except SecretKeyUnusable as unusable:
        if not path.parent.is_dir():
            advice = f"{path.parent} cannot be made ({unusable.context['reason']}); name another folder"
            raise SettingsRefused([Problem(variable_of("data_dir"), advice)]) from unusable
        advice = f"cannot be used ({unusable.context['reason']}); {UNUSABLE_KEY_ADVICE}"
        raise SettingsRefused([Problem(str(path), advice)]) from unusable
    if len(key) < SECRET_KEY_CHARACTERS:
        raise SettingsRefused([Problem(str(path), "is too short for a secret key; remove it")])
    return SecretStr(key)


def _unknown(given: Mapping[str, str]) -> Iterator[Problem]:
    names = known_names()
    for name in sorted(given):
        if name in names or name.startswith(TEST_PREFIX):
            continue
        if KUBERNETES_LINK.fullmatch(name):
            yield Problem(name, KUBERNETES_ADVICE)
            continue
        nearest = get_close_matches(name.upper(), names, n=1, cutoff=0)[0]
        yield Problem(name, f"is no setting; the nearest one is {nearest}")


def _advice_by_field(refusal: ValidationError, values: Mapping[str, str]) -> dict[str, str]:
    """Say each field's trouble once, in our words: a field of several types gives several errors."""
    advice: dict[str, str] = {}
    for error in refusal.errors():
        field = str(error["loc"][0])
        if field in values:  # the others only say that they wait for these
            advice.setdefault(field, _advice(field, values[field], error))
    return advice


def _advice(field: str, value: str, error: ErrorDetails) -> str:
    if error["type"] == "value_error" and field not in LISTS_OF_NETWORKS:
        return str(error["ctx"]["error"])
    if field == "port" and value.startswith("tcp://"):
        return KUBERNETES_ADVICE
    info = Settings.model_fields[field]
    shown = "" if "Secret" in str(info.annotation) else f", not {value[:100]!r}"
    return f"must be {info.description}{shown}"
