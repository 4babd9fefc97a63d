"""The measures of witnesses and time stamps, taken from the database whenever somebody asks."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from opentelemetry import metrics

from ledger.sealing.timestamps import Stamped
from ledger.sealing.witnesses import Witnessed

_meter = metrics.get_meter("ledger.witnesses")
_size = _meter.create_gauge(
    "ledger_witness_last_cosigned_size", description="Size of the newest checkpoint that a witness cosigned"
)
_age = _meter.create_gauge(
    "ledger_witness_last_cosigned_age", unit="s", description="How long ago it did, by its own clock"
)
_failures = _meter.create_gauge(
    "ledger_witness_failures", description="Failures of a witness since it cosigned last"
)
_forked = _meter.create_gauge(
    "ledger_witness_forked",
    description="1 while a witness has seen a history that the database does not hold",
)
_quorum_size = _meter.create_gauge(
    "ledger_witness_quorum_size", description="Size of the newest checkpoint with a quorum"
)
_waiting = _meter.create_gauge(
    "ledger_witness_quorum_wait", unit="s", description="For how long checkpoints have waited for a quorum"
)
_stamped_size = _meter.create_gauge(
    "ledger_timestamp_last_size", description="Size of the newest checkpoint that an authority stamped"
)
_stamped_age = _meter.create_gauge(
    "ledger_timestamp_last_age", unit="s", description="How long ago it did, by its own clock"
)


def measure_stamps(found: Mapping[str, Stamped], now: datetime) -> None:
    """Set the gauges of authorities, which are told by host: an address may hold what is nobody's business."""
    for address, stamped in found.items():
        labels = {"authority": urlsplit(address).hostname or ""}
        _stamped_size.set(stamped.size, labels)
        _stamped_age.set((now - stamped.stamped_at).total_seconds(), labels)


def measure(found: Witnessed, now: datetime) -> None:
    """Set every gauge to what was ``found`` at ``now``."""
    for one in found.standings:
        labels = {"witness": one.witness.name}
        _size.set(0 if one.last is None else one.last.size, labels)
        if one.last is not None:
            _age.set((now - one.last.cosigned_at).total_seconds(), labels)
        _failures.set(0 if one.partner is None else one.partner.failures, labels)
        _forked.set(int(one.is_forked()), labels)
    _quorum_size.set(found.quorum_size or 0)
    waited = 0.0 if found.waiting_since is None else (now - found.waiting_since).total_seconds()
    _waiting.set(waited)
