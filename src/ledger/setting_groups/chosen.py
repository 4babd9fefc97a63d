"""All groups in one value, as the rules see it."""

from ledger.setting_groups.database import DatabaseSettings
from ledger.setting_groups.limits import LimitSettings
from ledger.setting_groups.people import PeopleSettings
from ledger.setting_groups.sealing import SealingSettings
from ledger.setting_groups.serving import ServingSettings
from ledger.setting_groups.telemetry import TelemetrySettings
from ledger.setting_groups.webhooks import WebhookSettings


# pydantic reads the last base first: problems are told in that order, and the default of one setting may
# look at those before it (the log's format at the environment).
class Chosen(
    TelemetrySettings,
    SealingSettings,
    WebhookSettings,
    LimitSettings,
    PeopleSettings,
    DatabaseSettings,
    ServingSettings,
):
    """Every setting there is."""
