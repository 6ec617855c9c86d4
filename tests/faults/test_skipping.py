"""Where a fault cannot be injected that is said, and what was not shown is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_a_machine_without_its_tools_says_what_was_not_injected() -> None:
    tests = ("test_what_a_signal_interrupts_goes_on", "test_after_a_failure_nothing_is_taken")
    ran = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "-n", "0"),
            *("-k", " or ".join(tests), Path(__file__).with_name("test_disk.py")),
        ],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": "/nowhere"},
    )
    assert ran.returncode == 0, ran.stdout
    _, said, loudly = ran.stdout.partition("FAULTS NOT INJECTED HERE")
    assert said, ran.stdout
    lines = loudly.splitlines()
    for need, test in zip(("strace", "mount"), tests, strict=True):
        assert any(line.startswith(f"without {need}") and test in line for line in lines), loudly
    assert "passed" not in ran.stdout
