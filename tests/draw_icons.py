"""Draws the PNG icons of the camera page from its SVGs: `python tests/draw_icons.py`."""

from __future__ import annotations

import base64
import io
import tempfile
from pathlib import Path

from PIL import Image

ICONS = Path(__file__).parents[1] / "export" / "web" / "icons"
DRAWN = {
    "icon-192.png": ("icon.svg", 192),
    "icon-512.png": ("icon.svg", 512),
    "maskable-512.png": ("maskable.svg", 512),
}
_COLOURS = 64  # the edges' shades included


def draw(browser, source: str, size: int) -> Image.Image:
    """An SVG as a browser draws it, RGBA."""
    content = base64.b64encode((ICONS / source).read_bytes()).decode()
    script = """
        const image = new Image();
        image.src = 'data:image/svg+xml;base64,' + arguments[0];
        return image.decode().then(() => {
            const canvas = document.createElement('canvas');
            canvas.width = canvas.height = arguments[1];
            canvas.getContext('2d').drawImage(image, 0, 0, arguments[1], arguments[1]);
            return canvas.toDataURL('image/png').split(',')[1];
        });
    """
    png = base64.b64decode(browser.run(script, content, size))
    return Image.open(io.BytesIO(png)).convert("RGBA")


if __name__ == "__main__":
    from browser import open_browser

    with tempfile.TemporaryDirectory() as profile, open_browser(Path(profile)) as shown:
        for name, (source, size) in DRAWN.items():
            drawn = draw(shown, source, size).quantize(_COLOURS, method=Image.Quantize.FASTOCTREE)
            drawn.save(ICONS / name, optimize=True)
