"""What `import vesselog` costs, against importing what it is built on and making one model class.

Each import happens in a fresh interpreter, which times it by its own CPU clock.
"""

from __future__ import annotations

import subprocess
import sys

from children import Figures, serve

_OURS = "import vesselog"
_FLOOR = """
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


def importing(turns: int) -> Figures:
    """The least of some turns of each, after one that fills the file cache."""
    spent: dict[str, list[float]] = {_OURS: [], _FLOOR: []}
    for turn in range(turns + 1):
        for statement, costs in spent.items():
            program = _TIMED.format(statement=statement)
            done = subprocess.run(
                [sys.executable, "-P", "-c", program], check=True, capture_output=True, text=True
            )
            if turn:
                costs.append(float(done.stdout))
    ours, floor = (min(costs) for costs in spent.values())
    return {"ms": ours, "floor_ms": floor, "ratio": ours / floor}


if __name__ == "__main__":
    serve({"importing": importing})
