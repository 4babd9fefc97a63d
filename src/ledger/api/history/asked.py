"""What the parameters of a look into the history say."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar.params import QueryParameter

from ledger.api.history.query import Filters
from ledger.api.history.wire import Form
from ledger.domain.ids import Position

BIGGEST: Final = 2**63 - 1
KNOWN: Final = frozenset(
    {
        *("after", "limit", "type", "stream", "decision", "actor", "correlation", "command", "from", "to"),
        *("first", "last", "text", "order", "form", "format"),
    }
)
REPEATED: Final = frozenset({"type"})

Place = Annotated[int | None, QueryParameter(ge=1, le=BIGGEST)]
Behind = Annotated[int | None, QueryParameter(ge=0, le=BIGGEST)]
Types = Annotated[list[str] | None, QueryParameter(name="type")]
Text = Annotated[str | None, QueryParameter(min_length=1, max_length=1_000)]
Command = Annotated[UUID | None, QueryParameter()]
From = Annotated[str | None, QueryParameter(name="from")]
Time = Annotated[str | None, QueryParameter()]
Order = Annotated[str, QueryParameter(pattern="^(asc|desc)$")]
FormAsked = Annotated[Form, QueryParameter()]
Format = Annotated[
    str | None, QueryParameter(name="format", description="json, ndjson or csv; counts more than Accept")
]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which events, ``behind`` which position and how many at most, and how they are to be told.

    ``None``: from the first one on, as many as there are by default, of the type that Accept names.
    """

    filters: Filters
    behind: Position | None
    limit: int | None
    form: Form
    file_type: str | None


def asked_of(
    *,
    after: Behind = None,
    limit: Place = None,
    types: Types = None,
    stream: Text = None,
    decision: Text = None,
    actor: Text = None,
    correlation: Text = None,
    command: Command = None,
    from_: From = None,
    to: Time = None,
    first: Place = None,
    last: Place = None,
    text: Text = None,
    order: Order = "asc",
    form: FormAsked = Form.STORED,
    format_: Format = None,
) -> Asked:
    """Take the parameters, all of them in one place, so that everything that is wrong with them is told at once."""
    filters = Filters(
        types=None if types is None else tuple(types),
        stream=stream,
        decision=decision,
        actor=actor,
        correlation=correlation,
        command=command,
        since=from_,
        until=to,
        first=first,
        last=last,
        words=text,
        is_descending=order == "desc",
    )
    behind = None if after is None else Position(after)
    return Asked(filters=filters, behind=behind, limit=limit, form=form, file_type=format_)
