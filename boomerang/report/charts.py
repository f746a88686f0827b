"""Charts as SVG without files of their own: colours come from the page's style, so they follow light and dark."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 360, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 40
BAR_HEIGHT, BAR_LABEL, BAR_VALUE = 20, 110, 105


@dataclass(frozen=True)
class Series:
    """Points of one line, or single dots: their name in the legend, if any, x and y, and the CSS classes they get."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str
    dots: bool = False


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, with `ticks` as (place, text)."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]

    def share(self, value: float) -> float:
        """How far along the axis a value lies, 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def share_axis(label: str, highest: float = 1.0) -> Axis:
    """An axis of probabilities or shares from 0 to at least `highest`, in plain steps."""
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if 4 * step >= highest or step == 0.25)
    return Axis(label, 0.0, 4 * step, [(step * i, f"{step * i:.2f}") for i in range(5)])


def fitting_axis(label: str, values: Sequence[float]) -> Axis:
    """An axis that holds all `values`."""
    low, high = min(values), max(values)
    margin = (high - low) * 0.05 or 0.01
    low, high = low - margin, high + margin
    ticks = [low + (high - low) * i / 4 for i in range(5)]
    return Axis(label, low, high, [(tick, f"{tick:.3f}") for tick in ticks])


def index_axis(label: str, texts: Sequence[str]) -> Axis:
    """An axis of positions 0, 1, ..., of which the first, the middle and the last carry their text."""
    last = len(texts) - 1
    shown = sorted({0, last // 2, last})
    return Axis(label, 0, max(last, 1), [(i, texts[i]) for i in shown])


def line_chart(title: str, x: Axis, y: Axis, series: Sequence[Series], diagonal: bool = False) -> str:
    """Lines or dots over two axes, with a legend below.

    Parameters
    ----------
    title : str
        The caption, which a screen reader reads too.
    x, y : Axis
        All points lie within.
    series : sequence of Series
        The lines or dots, the first on top.
    diagonal : bool
        Also draw the line from corner to corner.
    """

    def place(across: float, up: float) -> tuple[str, str]:
        left = LEFT + x.share(across) * (WIDTH - LEFT - RIGHT)
        top = HEIGHT - BOTTOM - y.share(up) * (HEIGHT - TOP - BOTTOM)
        return f"{left:.1f}", f"{top:.1f}"

    parts = [_axes(x, y, place)]
    if diagonal:
        (x1, y1), (x2, y2) = place(x.low, y.low), place(x.high, y.high)
        parts.append(f'<line class="diagonal" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>')
    for one in reversed(series):
        points = [place(across, up) for across, up in zip(one.x, one.y, strict=True)]
        # A line of one point would not be seen.
        if not one.dots and len(points) > 1:
            path = " ".join(",".join(point) for point in points)
            parts.append(f'<polyline class="line {one.style}" points="{path}"/>')
        else:
            parts += [f'<circle class="dot {one.style}" cx="{left}" cy="{top}" r="3.5"/>' for left, top in points]
    legend = "".join(f'<span class="key {one.style}">{escape(one.name)}</span>' for one in series if one.name)
    return _figure(title, HEIGHT, parts, legend)


def _axes(x: Axis, y: Axis, place: Callable[[float, float], tuple[str, str]]) -> str:
    parts = []
    for tick, text in y.ticks:
        left, top = place(x.low, tick)
        parts.append(f'<line class="grid" x1="{left}" y1="{top}" x2="{WIDTH - RIGHT}" y2="{top}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 5}" y="{float(top) + 3:.1f}" text-anchor="end">{text}</text>')
    for number, (tick, text) in enumerate(x.ticks):
        left, top = place(tick, y.low)
        anchor = "start" if number == 0 else "end" if number == len(x.ticks) - 1 else "middle"
        parts.append(
            f'<text class="tick" x="{left}" y="{float(top) + 14:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
        )
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(f'<text class="label" x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x.label)}</text>')
    height = TOP + (HEIGHT - TOP - BOTTOM) / 2
    parts.append(
        f'<text class="label" transform="translate(10,{height:.1f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y.label)}</text>"
    )
    return "".join(parts)


def bar_chart(title: str, bars: Sequence[tuple[str, float, float]]) -> str:
    """Horizontal bars from a common zero, each with its name, value and spread; negative ones go left."""
    values = [value for _, value, _ in bars]
    low, high = min([0.0, *values]), max([0.0, *values])
    room = WIDTH - BAR_LABEL - BAR_VALUE
    scale = room / ((high - low) or 1)
    zero = BAR_LABEL - low * scale
    parts = []
    for index, (name, value, spread) in enumerate(bars):
        top = index * BAR_HEIGHT + 4
        left = zero + min(value, 0) * scale
        parts.append(f'<text class="tick" x="{BAR_LABEL - 6}" y="{top + 11}" text-anchor="end">{escape(name)}</text>')
        parts.append(
            f'<rect class="bar" x="{left:.1f}" y="{top}" width="{max(abs(value) * scale, 0.5):.1f}" height="14"/>'
        )
        right = zero + max(value, 0) * scale + 4
        parts.append(f'<text class="tick" x="{right:.1f}" y="{top + 11}">{value:+.4f} ± {spread:.4f}</text>')
    return _figure(title, len(bars) * BAR_HEIGHT + 8, parts, "")


def _figure(title: str, height: int, parts: Sequence[str], legend: str) -> str:
    name = escape(title, quote=True)
    svg = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{name}">{"".join(parts)}</svg>'
    caption = f"<figcaption>{escape(title)}{f'<br>{legend}' if legend else ''}</figcaption>"
    return f"<figure>{caption}{svg}</figure>"
