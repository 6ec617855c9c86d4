"""The chart of the README: the cost of a chunk for each client under the same load."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from rounds import Results

__all__ = ["chart"]

_LABELS = {
    "barest": "asyncio + llhttp + orjson",
    "vesselog-fast": "vesselog, fast",
    "vesselog": "vesselog",
    "aiohttp": "aiohttp + json",
    "httpx": "httpx + httpx-sse + json",
    "openai": "openai SDK",
    "pydantic-ai": "pydantic-ai",
    "litellm": "litellm",
}
_WIDTH, _ROW, _TOP, _LEFT, _RIGHT = 760, 30, 58, 230, 130
# Colours that read on white and on black.
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#57606a}"
    ".title{font-weight:600;fill:#1f2328}.vesselog{font-weight:600;fill:#0969da}"
    "rect{fill:#8c959f}rect.vesselog{fill:#0969da}"
    "@media(prefers-color-scheme:dark){text{fill:#9198a1}.title{fill:#f0f6fc}"
    ".vesselog,rect.vesselog{fill:#4493f8}rect{fill:#656c76}}"
)


@dataclass(frozen=True)
class _Bar:
    label: str
    ratio: float
    recorded: bool


def chart(results: Results, load: str = "paced") -> str | None:
    """CPU per chunk of each client that was measured, as a multiple of the barest; SVG.

    None without the barest client, with which the others are compared.
    """
    bars = [
        _Bar(label, spread.median, client.startswith("vesselog"))
        for client, label in _LABELS.items()
        if (spread := results.ratio(f"{load} {client}", f"{load} barest", "us")) is not None
    ]
    if not bars:
        return None
    bars.sort(key=lambda bar: bar.ratio)
    most = max(bar.ratio for bar in bars)
    height = _TOP + _ROW * len(bars) + 12
    title = "CPU per chunk, as a multiple of the barest client"
    box = f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{title}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="12" y="24">{title}</text>',
        '<text x="12" y="43">vesselog records every chunk; the others record nothing</text>',
    ]
    for row, bar in enumerate(bars):
        lines += _draw_bar(bar, _TOP + row * _ROW, (_WIDTH - _LEFT - _RIGHT) * bar.ratio / most)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _draw_bar(bar: _Bar, y: int, width: float) -> list[str]:
    style = ' class="vesselog"' if bar.recorded else ""
    value = f"{bar.ratio:.1f} ×{' recorded' if bar.recorded else ''}"
    at = f'x="{_LEFT - 10}" y="{y + 17}" text-anchor="end"'
    return [
        f"<text{style} {at}>{escape(bar.label)}</text>",
        f'<rect{style} x="{_LEFT}" y="{y + 3}" width="{width:.1f}" height="20" rx="2"/>',
        f'<text{style} x="{_LEFT + width + 8:.1f}" y="{y + 17}">{value}</text>',
    ]
