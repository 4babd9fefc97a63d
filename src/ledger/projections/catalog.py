"""Every projection of this release."""

from typing import Final

from ledger.projections.projection import Feed
from ledger.projections.views.decisions import DECISIONS
from ledger.projections.views.directory import DIRECTORY
from ledger.projections.views.kinds import KINDS
from ledger.projections.views.queue import QUEUE
from ledger.projections.views.sessions import SESSIONS
from ledger.projections.views.statistics import STATISTICS
from ledger.projections.views.timers import TIMERS

ALL: Final[tuple[Feed, ...]] = (QUEUE, DECISIONS, STATISTICS, SESSIONS, DIRECTORY, TIMERS, KINDS)
