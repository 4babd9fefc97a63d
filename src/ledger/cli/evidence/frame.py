"""The page around what is told: one file that loads nothing, runs nothing and prints well."""

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from ledger.cli.evidence.markup import Html, element, join

STYLE: Final = """
@page { size: A4; margin: 18mm 16mm; }
body { font: 10.5pt/1.45 Georgia, 'Times New Roman', serif; color: #111; max-width: 178mm; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 17pt; margin: 0 0 .2em; overflow-wrap: anywhere; }
h2 { font-size: 12.5pt; margin: 1.6em 0 .4em; border-bottom: .5pt solid #888; break-after: avoid; }
table { border-collapse: collapse; width: 100%; margin: .5em 0; }
th, td { text-align: left; vertical-align: top; padding: .25em .7em .25em 0; border-bottom: .5pt solid #ccc; overflow-wrap: anywhere; }
thead th { overflow-wrap: normal; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
.facts th { width: 30%; font-weight: normal; color: #444; }
.signature { border: .75pt solid #111; padding: .5em .8em; margin: .7em 0; break-inside: avoid; }
.signature .name { font-weight: bold; font-size: 11.5pt; }
.said { white-space: pre-wrap; unicode-bidi: isolate; overflow-wrap: anywhere; }
pre, code { font: 9pt/1.4 'DejaVu Sans Mono', Consolas, monospace; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; background: #f4f4f4; padding: .6em; unicode-bidi: isolate; }
.hash { font: 8pt 'DejaVu Sans Mono', Consolas, monospace; }
.warn { font-weight: bold; }
footer { margin-top: 2em; color: #444; font-size: 9pt; }
@media print { body { margin: 0; padding: 0; max-width: none; } pre { background: none; border: .5pt solid #ccc; } }
"""
STYLE_HASH: Final = b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'"


def page(title: str, content: Iterable[Html]) -> bytes:
    """Write a page."""
    head = element(
        "head",
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        Html('<meta name="viewport" content="width=device-width">'),
        element("title", title),
        Html(f"<style>{STYLE}</style>"),
    )
    whole = element("html", head, element("body", join(content)), lang="en")
    return f"<!doctype html>\n{whole.text}\n".encode()
