"""Checks that the built site's search finds what users look for: check_search.py FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path

# Words of the wire, of errors and of settings; each is on some page.
WORDS = ("Last-Event-ID", "retry_after", "on_disconnect", "first_chunk")


def main(folder: Path) -> int:
    """Print what is missing; returns the exit status."""
    index = json.loads((folder / "search/search_index.json").read_text("utf-8"))
    texts = [f"{entry['title']} {entry['text']}" for entry in index["docs"]]
    missing = [word for word in WORDS if not any(word in text for text in texts)]
    for word in missing:
        print(f"the search index does not have {word}")
    pages = len({entry["location"].partition("#")[0] for entry in index["docs"]})
    print(f"{pages} pages, {len(texts)} sections in the search index")
    return 1 if missing else 0


sys.exit(main(Path(sys.argv[1])))
