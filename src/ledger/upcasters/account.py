"""Past shapes of what happened to an account, lifted one version at a time."""

from typing import Final

from ledger.upcasters.prototype import Deactivation, Registration, moment, read, told
from ledger.upcasters.step import Json, Step

INACTIVE_BEFORE: Final = "It was inactive in the system it was imported from; since when is not known."


def account_registered_v1_to_v2(payload: Json) -> Json:
    """From the prototype's user: who let them in was not kept, so it counts as the operator's doing."""
    record = read(payload, Registration)
    return {
        "type": "account-registered",
        "at": moment(record.created_at, "created_at", record.imported),
        "person": record.person,
        "role": record.role,
        "commitment": record.imported.commitment,
        "by": None,
        "imported": told(record.imported),
    }


def account_deactivated_v1_to_v2(payload: Json) -> Json:
    """From a user of the prototype who was inactive when the import saw them."""
    record = read(payload, Deactivation)
    return {
        "type": "account-deactivated",
        "at": record.imported.seen_at,
        "by": None,
        "reason": INACTIVE_BEFORE,
        "imported": told(record.imported),
    }


STEPS: Final = (
    Step(type="account-registered", version=1, lift=account_registered_v1_to_v2),
    Step(type="account-deactivated", version=1, lift=account_deactivated_v1_to_v2),
)
