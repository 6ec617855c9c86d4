"""Links of the pages, as they are on the site.

The pages are also read in the repository, so their links name files there. Those to files outside
docs/ lead to a page of the site with the file's text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

__all__ = ["FILES", "TITLES", "outside_pages", "rewritten"]

ROOT = Path(__file__).resolve().parents[2]

# Pages of the repository outside docs/, and their addresses on the site.
_PAGES = {
    "examples/README.md": "examples/README.md",
    "benchmarks/README.md": "benchmarks/README.md",
    "benchmarks/results/report.md": "benchmarks/report.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "CHANGELOG.md": "project/changelog.md",
}
# In the navigation.
TITLES = {
    "Examples": "examples/README.md",
    "Benchmarks": "benchmarks/README.md",
    "Benchmark report": "benchmarks/report.md",
    "Contributing": "project/contributing.md",
    "Security": "project/security.md",
    "Changelog": "project/changelog.md",
}
# Other files that pages show.
FILES = {
    path.relative_to(ROOT).as_posix(): f"benchmarks/{path.name}"
    for path in sorted((ROOT / "benchmarks/results").glob("*.svg"))
}
# Each example is a page with its code: a file, or a folder of files.
_EXAMPLES = {
    path.relative_to(ROOT).as_posix(): f"examples/{path.stem}.md"
    for path in sorted((ROOT / "examples").iterdir())
    if path.suffix == ".py" or (path.is_dir() and not path.name.startswith("_"))
}
_LANGUAGES = {
    ".conf": "nginx",
    ".jsx": "jsx",
    ".js": "js",
    ".json": "json",
    ".html": "html",
    ".css": "css",
}
_ADDRESSES = {**_PAGES, **FILES, **_EXAMPLES, "README.md": "README.md"}
_FILES_OF = {address: path for path, address in _ADDRESSES.items() if path != "README.md"}
_LINK = re.compile(r"(\]\()([^)\s:#]+)((?:#[^)\s]*)?\))")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def outside_pages() -> dict[str, str]:
    """The text of each page that is outside docs/, by its address."""
    pages = {address: (ROOT / path).read_text("utf-8") for path, address in _PAGES.items()}
    for path, address in _EXAMPLES.items():
        pages[address] = _example(ROOT / path)
    return pages


def _example(path: Path) -> str:
    """The page of an example."""
    if path.is_file():
        return f"# {path.name}\n\n```python\n{path.read_text('utf-8')}```\n"
    parts = [f"# {path.name}\n"]
    for file in sorted(each for each in path.rglob("*") if each.suffix in {".py", *_LANGUAGES}):
        if {"node_modules", "dist", "__pycache__"} & {*file.parts}:
            continue
        language = _LANGUAGES.get(file.suffix, "python")
        name = file.relative_to(path).as_posix()
        parts.append(f"\n## {name}\n\n````{language}\n{file.read_text('utf-8')}\n````\n")
    return "".join(parts)


def _in_an_example(target: str) -> str | None:
    """The place of a file on the page of the example that it belongs to."""
    for path, address in _EXAMPLES.items():
        name = target.removeprefix(f"{path}/")
        if name != target and (ROOT / target).is_file():
            anchor = re.sub(r"[^\w-]", "", name.lower())
            return f"{address}#{anchor}"
    return None


def rewritten(markdown: str, address: str) -> str:
    """The page's text, with the links of the file changed to those of the site."""
    path = _FILES_OF.get(address, f"docs/{address}")

    def lead(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[2]))
        there = _ADDRESSES.get(target) or _in_an_example(target)
        if there is None and target.startswith("docs/"):
            there = target.removeprefix("docs/")
        if there is None:
            return match[0]  # mkdocs reports it
        start = posixpath.dirname(address) or "."
        return f"{match[1]}{posixpath.relpath(there, start)}{match[3]}"

    parts: list[str] = []
    end = 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(lead, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(lead, markdown[end:])])
