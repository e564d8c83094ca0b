"""What the benchmarks share: running the real commands, and saying whether a claim holds."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time


def taxonvision(*arguments: str) -> float:
    """Run a command as a process of its own, anew; returns its seconds."""
    print(f"\n$ taxonvision {shlex.join(arguments)}", flush=True)
    start = time.perf_counter()
    command = [sys.executable, "-m", "taxonvision", *arguments, "--overwrite"]
    subprocess.run(command, check=True)
    return time.perf_counter() - start


class Claims:
    """Claims with the figures found, printed as they are judged."""

    def __init__(self) -> None:
        self._failed = 0

    def judge(self, claim: str, value: float, holds: bool) -> None:
        """Print one claim and whether it holds."""
        print(f"{'holds' if holds else 'FAILS'}: {claim}: {value:.3f}")
        self._failed += not holds

    @property
    def exit_code(self) -> int:
        """0 when all claims hold, else 1."""
        return 1 if self._failed else 0
