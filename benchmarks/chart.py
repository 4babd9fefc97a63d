"""Throughput by how many appends are in flight, as SVG: a line each, named at its end; both axes logarithmic."""

import math
from collections.abc import Mapping
from html import escape
from typing import Final

WIDTH: Final = 760
HEIGHT: Final = 420
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 50, 50
COLOURS: Final = ("#0b6e4f", "#c8553d", "#6c757d", "#3a5a98", "#8e6c8a")
FONT: Final = 'font-family="system-ui, sans-serif"'
LABEL_GAP: Final = 16


def draw(figures: Mapping[str, float], payload: int) -> str | None:
    """Draw the figures ``append.<who>.<in flight>.<payload>``; ``None`` without at least two numbers in flight."""
    series: dict[str, dict[int, float]] = {}
    for name, value in figures.items():
        kind, *rest = name.split(".")
        if kind == "append" and rest[2] == str(payload):
            series.setdefault(rest[0], {})[int(rest[1])] = value
    counts = sorted({count for found in series.values() for count in found})
    if len(counts) < 2:
        return None
    values = [value for found in series.values() for value in found.values()]
    low, high = 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))

    def x(count: int) -> float:
        share = math.log(count / counts[0]) / math.log(counts[-1] / counts[0])
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - math.log(value / low) / math.log(high / low) * (HEIGHT - TOP - BOTTOM)

    pieces = [*_frame(f"Durable appends a second, {payload / 1000:g} kB each")]
    decade = low
    while decade <= high:
        pieces.append(_rule(y(decade), f"{decade:,.0f}"))
        decade *= 10
    pieces += [_text(x(count), HEIGHT - BOTTOM + 20, str(count), anchor="middle") for count in counts]
    pieces.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "in flight", anchor="middle"))
    labels = _apart({name: y(found[max(found)]) for name, found in series.items()})
    for colour, (name, found) in zip(COLOURS, series.items(), strict=False):
        points = " ".join(f"{x(count):.1f},{y(value):.1f}" for count, value in sorted(found.items()))
        pieces.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        pieces += [
            f'<circle cx="{x(count):.1f}" cy="{y(value):.1f}" r="3.5" fill="{colour}"/>'
            for count, value in found.items()
        ]
        end = f"{name} {found[max(found)]:,.0f}"
        pieces.append(_text(WIDTH - RIGHT + 12, labels[name] + 4, end, colour=colour))
    return "\n".join([*pieces, "</svg>", ""])


def _frame(title: str) -> tuple[str, ...]:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="28" {FONT} font-size="16" font-weight="600" fill="#222222">{escape(title)}</text>',
    )


def _rule(height: float, label: str) -> str:
    line = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}" stroke="#dddddd"/>'
    return line + _text(LEFT - 8, height + 4, label, anchor="end")


def _text(left: float, top: float, text: str, *, anchor: str = "start", colour: str = "#444444") -> str:
    place = f'x="{left:.1f}" y="{top:.1f}" text-anchor="{anchor}"'
    return f'<text {place} {FONT} font-size="13" fill="{colour}">{escape(text)}</text>'


def _apart(heights: Mapping[str, float]) -> dict[str, float]:
    """Move labels that would cover each other down."""
    moved: dict[str, float] = {}
    last = -math.inf
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        last = max(height, last + LABEL_GAP)
        moved[name] = last
    return moved
