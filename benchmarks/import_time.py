"""What importing costs, against importing what vesselog is built on and making one model class.

`import vesselog` alone says little, since its names are loaded when they are first used; so the
clients are imported too. Each import happens in a fresh interpreter, which times it by its own CPU
clock.
"""

from __future__ import annotations

import subprocess
import sys

from child_process import Figures, serve

_BARE = "import vesselog"
_CLIENTS = "from vesselog import AsyncClient, Client"
_DEPENDENCIES = """
import httpx, pydantic, orjson

class Model(pydantic.BaseModel):
    text: str
"""
_TIMED = """
import time
start = time.process_time_ns()
{statement}
print((time.process_time_ns() - start) / 1e6)
"""


def import_time(turns: int) -> Figures:
    """The least of some turns of each, after one that fills the file cache."""
    spent: dict[str, list[float]] = {_BARE: [], _CLIENTS: [], _DEPENDENCIES: []}
    for turn in range(turns + 1):
        for statement, costs in spent.items():
            program = _TIMED.format(statement=statement)
            done = subprocess.run(
                [sys.executable, "-P", "-c", program], check=True, capture_output=True, text=True
            )
            if turn:
                costs.append(float(done.stdout))
    bare, clients, dependencies = (min(costs) for costs in spent.values())
    return {
        "bare_ms": bare,
        "clients_ms": clients,
        "dependencies_ms": dependencies,
        "ratio": bare / dependencies,
        "clients_ratio": clients / dependencies,
    }


if __name__ == "__main__":
    serve({"import_time": import_time})
