"""Run the model of a bundle that nobody vouches for.

LiteRT is C++ and trusts its models: one that was made to harm may crash it or ask for all memory,
though its checksum be right. It runs in a process of its own, whose memory, time and files are
limited.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import taxonvision

_SECONDS = 120  # the slowest golden photographs of a phone's network take one
_MEGABYTES = 2048  # Python, LiteRT and a photograph of 200 million pixels
_TIMES_THE_FILES = 8  # float16 weights are unpacked to float32 and packed again for the kernels


def check_run(place: Path, fingerprint: str, size: int, seconds: int = _SECONDS) -> list[str]:
    """Run a bundle's model on its golden photographs; a sentence for each thing that is wrong.

    Args:
        place: the bundle, whose files were verified.
        fingerprint: names the files that were verified; others are not run.
        size: bytes of all files, on which the limit of memory depends.
        seconds: how long it may take.
    """
    megabytes = _MEGABYTES + _TIMES_THE_FILES * size // 2**20
    limits = (str(megabytes), str(seconds))
    module = "taxonvision.runtime.verify_child"
    # -P: a folder that somebody stands in may be the hostile bundle, and hold a json.py.
    command = [sys.executable, "-P", "-m", module, str(place.absolute()), fingerprint, *limits]
    try:
        done = subprocess.run(  # noqa: S603 - this package's own module
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"model.tflite does not answer within {seconds} seconds"]
    if done.returncode < 0:
        return [f"model.tflite crashes LiteRT ({_name_of(-done.returncode)})"]
    try:
        return [str(finding) for finding in json.loads(done.stdout)]
    except ValueError:
        return [f"model.tflite ends LiteRT without an answer (exit code {done.returncode})"]


def _environment() -> dict[str, str]:
    """This process's, with this very package to be found first, and one thread a library.

    Libraries of linear algebra set memory aside for every core, which the limit would count.
    """
    package = str(Path(taxonvision.__file__).parents[1])
    paths = [package, os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
