"""What the benchmarks share: running the real commands, and saying whether a claim holds."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ran:
    """A command that was run.

    Attributes:
        seconds: from the start of its process to the end.
        said: what it wrote to stderr.
    """

    seconds: float
    said: str


def taxonvision(*arguments: str) -> float:
    """Run a command as a process of its own, anew; returns its seconds."""
    start = time.perf_counter()
    subprocess.run(_command(arguments), check=True)
    return time.perf_counter() - start


def listen(*arguments: str) -> Ran:
    """The same, for a command whose words are to be read."""
    start, said = time.perf_counter(), []
    command = _command(arguments)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or ():
            print(line, end="", file=sys.stderr, flush=True)
            said.append(line)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Ran(time.perf_counter() - start, "".join(said))


def _command(arguments: tuple[str, ...]) -> list[str]:
    print(f"\n$ taxonvision {shlex.join(arguments)}", flush=True)
    return [sys.executable, "-m", "taxonvision", *arguments, "--overwrite"]


def make_bundle(work: Path) -> Path:
    """The int8 bundle of a small model trained on photographs that `synth` draws, in a folder."""
    synth, catalog, model = work / "synth", work / "catalog", work / "model"
    taxonvision("synth", f"--out={synth}", "--taxa=24", "--photos_per_taxon=20")
    taxonvision(
        "ingest", f"--input={synth / 'photos'}", f"--labels={synth / 'labels.csv'}",
        f"--taxa={synth / 'class_taxa.csv'}", f"--taxonomy={synth / 'taxonomy.csv'}",
        "--license=CC0-1.0", "--attribution=taxonvision synth", f"--out={catalog}",
    )  # fmt: skip
    taxonvision("train", f"--catalog={catalog}", "--epochs=5", f"--out={model}")
    taxonvision("export", f"--model={model}", f"--catalog={catalog}", f"--out={work / 'bundle'}")
    return work / "bundle"


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
