"""Run a bundle's model on its golden photographs, in a process that it may bring down.

`python -m taxonvision.runtime.verify_child BUNDLE FINGERPRINT MEGABYTES SECONDS` writes a JSON
array of findings to stdout. Started by `verify_run`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

_MAX_WRITTEN = 2**20  # bytes of any file: LiteRT's own lines are kept in one


def main(place: str, fingerprint: str, megabytes: int, seconds: int) -> None:
    """Give up what a hostile model could use, run it, answer."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what C++ may print is no part of the answer
    for kind, most in (
        (resource.RLIMIT_AS, megabytes * 2**20),
        (resource.RLIMIT_CPU, seconds + 10),  # should the parent have died, which waits no longer
        (resource.RLIMIT_FSIZE, _MAX_WRITTEN),
        (resource.RLIMIT_CORE, 0),
    ):
        _limit(kind, most)
    os.write(answer, json.dumps(_findings(Path(place), fingerprint, megabytes)).encode())


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(kind, (most, most))


def _findings(place: Path, fingerprint: str, megabytes: int) -> list[str]:
    from taxonvision.errors import UserError
    from taxonvision.runtime.bundle import check_golden, open_bundle
    from taxonvision.text import reason_of

    try:
        bundle = open_bundle(place)
        if bundle.fingerprint != fingerprint:
            return ["it was exchanged while it was verified; verify again"]
        return check_golden(bundle, bundle.recognizer(threads=1))
    except UserError as error:
        return [str(error).removeprefix(f"{place}: ")]
    except MemoryError:
        return [f"model.tflite needs more than {megabytes} MB of memory"]
    except (RuntimeError, ValueError) as error:  # as LiteRT raises them
        return [f"model.tflite cannot be run: {reason_of(error, 200)}"]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
