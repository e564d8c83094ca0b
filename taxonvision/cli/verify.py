"""Check a bundle from elsewhere before it is trusted.

Its files are held against their checksums, bundle.json against its schema, the tree, the labels and
the names against each other; the model's tensors and operators are read, and the model runs on the
golden photographs. The bundle is taken as hostile: nothing of it is unpacked to disk, and the model
runs in a process of its own with limited memory and time. Each finding is a line on stdout; the
exit code is 0 without any, else 2.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from taxonvision.errors import UserError
from taxonvision.export.verify_profile import verify_profile
from taxonvision.progress import say, working
from taxonvision.runtime.verify import verify
from taxonvision.text import for_screen, of_path, several

USAGE = "taxonvision verify BUNDLE"
REQUIRED = ()
TAKES_ARGUMENTS = True

EXIT_FINDINGS = 2


def define(values: flags.FlagValues) -> None:
    """It has no flags."""


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Verify the bundle and print the findings."""
    if len(arguments) != 1:
        raise UserError(f"`verify` takes one bundle; usage: {USAGE}")
    place = Path(arguments[0])
    with working(f"verifying {of_path(place)}"):
        findings = verify(place) or verify_profile(place)
    for finding in findings:
        print(for_screen(" ".join(finding.splitlines())))
    verdict = several(len(findings), "finding") if findings else "ok"
    say(f"{of_path(place)}: {verdict}")
    return EXIT_FINDINGS if findings else 0
