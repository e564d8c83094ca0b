"""The step of the build that fetches LiteRT.js for the camera; all else is in setup.cfg."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # a build in isolation does not look here

from taxonvision.camera.vendoring import UnreachableError, vendor  # noqa: E402


class BuildWithCamera(build_py):
    """Fetches first, so that what was fetched is installed with the other files."""

    def run(self) -> None:
        """Without a network, all but the camera is built."""
        try:
            vendor(ROOT / "export" / "web", ROOT / "LICENSE")
        except UnreachableError as error:
            self.warn(f"`taxonvision camera` is left without LiteRT.js: {error}")
        super().run()


setup(cmdclass={"build_py": BuildWithCamera})
