"""HTML that cannot be broken out of: text is escaped unless it was made here."""

from collections.abc import Iterable
from html import escape
from typing import Final, TypeAlias

import msgspec

TURNING: Final = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Characters that turn the direction of text, so that it reads otherwise than it is (Unicode, annex 9)."""
SHOWN_AS: Final = {
    **dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)), "�"),
    **{code: f"[U+{code:04X}]" for code in TURNING},
}
"""No HTML may have control characters (HTML, section 3.2.5)."""


class Html(msgspec.Struct, frozen=True):
    """A piece of a page, escaped already."""

    text: str


Content: TypeAlias = Html | str


def element(name: str, *content: Content, **attributes: str) -> Html:
    """Make an element; text in it and the values of its attributes are escaped."""
    written = "".join(f' {key.rstrip("_")}="{_escaped(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{written}>{join(content).text}</{name}>")


def join(content: Iterable[Content]) -> Html:
    """Put pieces one after the other."""
    return Html("".join(one.text if isinstance(one, Html) else _escaped(one) for one in content))


def said(text: str) -> Html:
    """Show what somebody wrote: as it is, kept apart from what stands around it, line by line."""
    return element("span", text, class_="said", dir="auto")


def table(heads: Iterable[str], rows: Iterable[Iterable[Content]]) -> Html:
    """Make a table with a head."""
    head = element("thead", element("tr", *(element("th", one, scope="col") for one in heads)))
    body = element("tbody", *(element("tr", *(element("td", cell) for cell in row)) for row in rows))
    return element("table", head, body)


def facts(rows: Iterable[tuple[str, Content]]) -> Html:
    """Make a table of names and values."""
    lines = (element("tr", element("th", name, scope="row"), element("td", value)) for name, value in rows)
    return element("table", element("tbody", *lines), class_="facts")


def section(title: str, *content: Content) -> Html:
    """Make a part of a page."""
    return element("section", element("h2", title), *content)


def _escaped(text: str) -> str:
    # Halves of surrogate pairs cannot be written as UTF-8.
    whole = text.encode("utf-8", "replace").decode()
    return escape(whole.translate(SHOWN_AS), quote=True)
