"""What is sent to the addresses that people give."""

from pydantic import Field
from pydantic_settings import BaseSettings

from ledger.setting_values import NETWORKS, Networks


class WebhookSettings(BaseSettings):
    """Where webhooks may go."""

    webhook_allowed_networks: Networks = Field((), description=NETWORKS)
