import io
import os
import socket
import struct
import threading
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from taxonvision import photograph
from taxonvision.photograph import (
    MAX_PIXELS,
    PhotographError,
    Piece,
    decode,
    read_bytes,
    read_upright,
    upright,
)

# As the module itself asks for; pytest starts every test with filters of its own.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

HEIGHT, WIDTH = 24, 40
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
SMOOTH = np.stack(
    np.broadcast_arrays(
        np.linspace(0, 255, WIDTH)[None, :], np.linspace(255, 0, HEIGHT)[:, None], 128
    ),
    axis=-1,
).astype(np.uint8)


def encoded(image, kind, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data):
    image = read_upright(data)
    assert image.mode == "RGB"
    return np.asarray(image)


def reason(data):
    with pytest.raises(PhotographError) as caught:
        decode(data)
    assert str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def exif_with(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def png(width, height, depth, colour, rows, *chunks):
    """A PNG by hand, for what Pillow does not write."""

    def chunk(kind, body):
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(chunk(kind, body) for kind, body in chunks)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


# What is used.


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_give_the_pixels(kind):
    assert np.array_equal(pixels(encoded(PIXELS, kind)), PIXELS)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "MPO"])
def test_lossy_formats_give_nearly_the_pixels(kind):
    difference = pixels(encoded(SMOOTH, kind, quality=95)).astype(int) - SMOOTH
    assert np.abs(difference).mean() < 4


def test_file_and_bytes_give_the_same(tmp_path):
    path = tmp_path / "Füchse, \"kleine\" 'und' 🦋.png"
    path.write_bytes(encoded(PIXELS, "PNG"))
    assert np.array_equal(np.asarray(read_upright(path)), PIXELS)


def test_grey_is_the_same_in_all_channels():
    grey = PIXELS[:, :, 0]
    assert np.array_equal(pixels(encoded(grey, "PNG")), np.dstack([grey] * 3))


def test_one_bit_is_black_and_white():
    bits = PIXELS[:, :, 0] > 127
    expected = np.dstack([np.where(bits, 255, 0)] * 3)
    assert np.array_equal(pixels(encoded(bits, "PNG")), expected)


def test_cmyk_jpeg_shows_the_colours_it_was_made_from():
    cmyk = Image.fromarray(SMOOTH).convert("CMYK")
    difference = pixels(encoded(cmyk, "JPEG", quality=98)).astype(int) - SMOOTH
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_grey_is_scaled_not_clipped(kind, order):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    mode = "I;16" if order == "<" else "I;16B"
    image = Image.frombytes(mode, (256, 256), values.astype(f"{order}u2").tobytes())
    expected = np.dstack([values >> 8] * 3)
    assert np.array_equal(pixels(encoded(image, kind)), expected)


def test_32_bit_grey_is_scaled_and_clipped():
    values = np.array([[-(2**31), -1, 0, 255], [256, 65535, 65536, 2**31 - 1]], np.int32)
    expected = np.dstack([np.array([[0, 0, 0, 0], [1, 255, 255, 255]])] * 3)
    assert np.array_equal(pixels(encoded(values, "TIFF")), expected)


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_deep_grey_is_not_widened_as_a_whole(mode):
    data = encoded(Image.new(mode, (2000, 2000), 0x1234), "TIFF")
    tracemalloc.start()
    try:
        image, _ = decode(data)
        # What NumPy holds (Pillow's memory is not traced): a byte a pixel, and a band of the rows.
        assert tracemalloc.get_traced_memory()[1] < len(data) + 5 * 2000 * 2000
    finally:
        tracemalloc.stop()
    assert image.getpixel((1999, 1999)) == (0x12,) * 3


def test_16_bit_colour_is_scaled():
    wide = RANDOM.integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide)
    got = pixels(png(WIDTH, HEIGHT, 16, 2, rows)).astype(int)
    assert np.abs(got - wide / 257).max() <= 1


def test_palette():
    image = Image.fromarray(PIXELS).quantize(16)
    assert np.array_equal(pixels(encoded(image, "PNG")), np.asarray(image.convert("RGB")))


def test_palette_with_transparency_lies_over_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putpixel((1, 0), 1)
    data = encoded(image, "PNG", transparency=bytes([255, 0]))
    assert pixels(data).tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_transparent_colour_of_a_true_colour_png_lies_over_white():
    rows = b"\0" + bytes([1, 2, 3, 9, 9, 9])
    data = png(2, 1, 8, 2, rows, (b"tRNS", struct.pack(">HHH", 1, 2, 3)))
    assert pixels(data).tolist() == [[[255, 255, 255], [9, 9, 9]]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_mixed_with_white(kind):
    image = np.zeros((1, 3, 4), np.uint8)
    image[0, :, :3] = 40
    image[0, :, 3] = [255, 51, 0]
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    got = pixels(encoded(image, kind, **options)).astype(int)
    expected = np.array([40, 0.2 * 40 + 0.8 * 255, 255])
    assert np.abs(got - expected[None, :, None]).max() <= 1


def test_grey_with_alpha_is_mixed_with_white():
    grey_alpha = np.array([[[40, 255], [40, 0]]], np.uint8)
    data = encoded(Image.fromarray(grey_alpha, "LA"), "PNG")
    assert pixels(data).tolist() == [[[40] * 3, [255] * 3]]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(data)) as animation:
        assert animation.n_frames == 3
    assert (pixels(data) == [255, 0, 0]).all()


# EXIF: how the stored picture shows the upright one, by orientation (EXIF 2.32, table 6).
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_every_orientation_is_turned_upright(kind, orientation):
    stored = np.ascontiguousarray(STORED[orientation](PIXELS))
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(stored, kind, exif=exif_with(orientation), **options)
    image, found = decode(data)
    assert found == orientation
    assert np.array_equal(np.asarray(image), PIXELS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_jpeg(orientation):
    stored = np.ascontiguousarray(STORED[orientation](SMOOTH))
    image, found = decode(encoded(stored, "JPEG", quality=95, exif=exif_with(orientation)))
    assert found == orientation
    assert image.size == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(image).astype(int) - SMOOTH).mean() < 4


@pytest.mark.parametrize("mode", ["L", "CMYK", "I;16", "1", "P", "RGBA"])
def test_orientation_with_every_kind_of_pixel(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    image = Image.new(mode, (WIDTH, HEIGHT))
    result, found = decode(encoded(image, kind, exif=exif_with(6)))
    assert (result.size, result.mode, found) == ((HEIGHT, WIDTH), "RGB", 6)


def exif_block(*entries):
    body = b"MM\0*\0\0\0\x08" + struct.pack(">H", len(entries))
    return b"Exif\0\0" + body + b"".join(entries) + b"\0\0\0\0"


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",
        b"Exif\0\0no TIFF header at all",
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        exif_block(struct.pack(">HHII", 0x0112, 3, 1, 99 << 16)),  # no such orientation
        exif_block(struct.pack(">HHII", 0x0112, 3, 1, 0)),
        exif_block(struct.pack(">HHI4s", 0x0112, 2, 4, b"six\0")),  # words for a number
        exif_block(struct.pack(">HHII", 0x0112, 4, 1_000_000, 2_000_000)),  # beyond the end
    ],
)
def test_damaged_exif_does_not_make_the_pixels_bad(block):
    image, orientation = decode(encoded(SMOOTH, "JPEG", quality=95, exif=block))
    assert orientation == 1
    assert np.abs(np.asarray(image).astype(int) - SMOOTH).mean() < 4


@pytest.mark.parametrize("kind", range(14))
@pytest.mark.parametrize("tag", [0x010E, 0x0100, 0x8769, 0x8825, 0x829A])
def test_orientation_counts_though_the_rest_of_exif_is_damaged(tag, kind):
    block = exif_block(
        struct.pack(">HHII", 0x0112, 3, 1, 6 << 16),
        struct.pack(">HHI4s", tag, kind, 3, b"\xff\xfe\xfd\0"),
    )
    image, orientation = decode(encoded(SMOOTH, "JPEG", exif=block))
    assert (image.size, orientation) == ((HEIGHT, WIDTH), 6)


# What is refused, with the reason.


def test_zero_bytes():
    assert reason(b"") == "empty file"


def test_text_renamed(tmp_path):
    assert reason(b"dear diary, today I saw a swallowtail\n" * 50) == (
        "not an image of a known format"
    )


def test_page_of_a_server_that_said_no():
    assert reason(b"<!DOCTYPE html><title>404</title>") == "not an image of a known format"


@pytest.mark.parametrize("kind", ["JPEG2000", "ICNS", "PPM", "TGA"])
def test_formats_outside_the_list_are_refused_though_pillow_reads_them(kind):
    assert reason(encoded(PIXELS, kind)) == "not an image of a known format"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated(kind, share):
    data = encoded(PIXELS, kind)
    assert reason(data[: int(len(data) * share)])


def test_truncated_after_the_header_is_named_damaged():
    assert reason(encoded(PIXELS, "JPEG")[:-200]).startswith("damaged: ")


def test_floating_point_pixels():
    assert "floating-point" in reason(encoded(Image.new("F", (4, 4), 0.5), "TIFF"))


def test_missing_file_and_dangling_link_and_folder(tmp_path):
    link = tmp_path / "link.jpg"
    link.symlink_to(tmp_path / "gone.jpg")
    for path, expected in (
        (tmp_path / "none.jpg", "no such file"),
        (link, "dangling link"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        with pytest.raises(PhotographError, match=f"^{expected}$"):
            read_bytes(path)


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    return tmp_path / "pipe.jpg"


def test_what_is_no_file_is_refused_without_waiting_for_it(pipe):
    answers = []

    def read(path):
        try:
            read_bytes(path)
        except PhotographError as error:
            answers.append(str(error))

    thread = threading.Thread(target=read, args=(pipe,), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    read("/dev/null")
    assert answers == ["a pipe, socket or device, no file"] * 2


def test_a_socket_is_refused(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.jpg"))
        with pytest.raises(PhotographError, match="cannot be read: No such device"):
            read_bytes(tmp_path / "s.jpg")


def test_a_file_larger_than_any_photograph_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(100 * 2**30)
    with pytest.raises(PhotographError, match=r"^larger than 1 GiB$"):
        read_bytes(tmp_path / "sparse.jpg")


def test_too_little_memory_is_a_reason(tmp_path, monkeypatch):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(photograph, "_to_rgb", fail)
    assert reason(encoded(PIXELS, "PNG")) == "too large for the memory of this computer"
    (tmp_path / "a.png").write_bytes(encoded(PIXELS, "PNG"))
    with (
        pytest.raises(PhotographError, match="too large for the memory"),
        monkeypatch.context() as patched,
    ):
        patched.setattr(os, "fstat", fail)
        read_bytes(tmp_path / "a.png")


def test_huge_photographs_are_decoded_one_at_a_time_and_small_ones_together(monkeypatch):
    huge, small = encoded(PIXELS, "PNG"), encoded(PIXELS[:4], "PNG")
    monkeypatch.setattr(photograph, "_HUGE_PIXELS", HEIGHT * WIDTH - 1, raising=False)
    inside, leave = threading.Semaphore(0), threading.Event()
    real = photograph._to_rgb

    def slow(image):
        inside.release()
        assert leave.wait(30)
        return real(image)

    monkeypatch.setattr(photograph, "_to_rgb", slow)
    threads = [threading.Thread(target=decode, args=(data,)) for data in (huge, huge, small, small)]
    for thread in threads:
        thread.start()
    try:
        assert all(inside.acquire(timeout=30) for _ in range(3))  # one huge one, the small ones
        assert not inside.acquire(timeout=0.2)
    finally:
        leave.set()
        for thread in threads:
            thread.join()


def test_a_damaged_huge_photograph_lets_the_next_one_in(monkeypatch):
    monkeypatch.setattr(photograph, "_HUGE_PIXELS", HEIGHT * WIDTH - 1, raising=False)
    data = encoded(PIXELS, "PNG")
    assert reason(data[: len(data) // 2])
    thread = threading.Thread(target=decode, args=(data,), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_bomb_in_the_header_only():
    data = png(20_000, 20_000, 8, 2, b"\0" * 100)
    assert reason(data) == (
        "20000 x 20000 pixels, more than 200 million: taken for a decompression bomb"
    )


@pytest.mark.parametrize("side", [20_000, 30_000])
def test_bomb_that_could_be_decoded_is_refused_before_its_pixels_are(side):
    one_row = b"\0" * (side // 8 + 1)
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(one_row) for _ in range(side)) + packer.flush()
    small = png(side, side, 1, 0, b"")
    start, end = small.index(b"IDAT"), small.index(b"IEND") - 4
    checked = b"IDAT" + body
    data = (
        small[: start - 4]
        + struct.pack(">I", len(body))
        + checked
        + struct.pack(">I", zlib.crc32(checked))
        + small[end:]
    )
    tracemalloc.start()
    try:
        assert "decompression bomb" in reason(data)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data) + 1_000_000
    finally:
        tracemalloc.stop()


def test_gif_bomb():
    screen = b"GIF89a" + struct.pack("<HHBBB", 20_000, 20_000, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 20_000, 20_000, 0) + b"\x02\x02\x44\x01\0;"
    assert "decompression bomb" in reason(screen + frame)


def test_the_largest_sensors_of_phones_are_within_the_limit():
    width, height = 16_320, 12_240  # 200 megapixels
    assert width * height <= MAX_PIXELS
    # Past the check of the size the empty body is found: the picture was not taken for a bomb.
    assert reason(png(width, height, 1, 0, b"")).startswith("damaged: ")


@pytest.mark.filterwarnings("default")
def test_reading_in_threads_leaves_the_filters_of_warnings_alone(monkeypatch):
    before = list(warnings.filters)
    inside, leave = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()]
    order = iter([0, 1])
    real = Image.open

    def slow_open(*arguments, **options):
        turn = next(order)
        inside[turn].set()
        assert leave[turn].wait(30)
        return real(*arguments, **options)

    monkeypatch.setattr(Image, "open", slow_open)
    data = encoded(PIXELS, "PNG")
    threads = [threading.Thread(target=decode, args=(data,)) for _ in range(2)]
    for turn, thread in enumerate(threads):
        thread.start()
        assert inside[turn].wait(30)
    for turn, thread in enumerate(threads):  # the first to come is the first to go
        leave[turn].set()
        thread.join()
    assert list(warnings.filters) == before


# Whatever the bytes are, the answer is a picture or a reason.

SEEDS = {
    kind: encoded(SMOOTH, kind, **options)
    for kind, options in {
        "JPEG": {"exif": exif_with(6)},
        "PNG": {"exif": exif_with(5)},
        "GIF": {},
        "WEBP": {"exif": exif_with(8)},
        "TIFF": {"exif": exif_with(7)},
        "BMP": {},
    }.items()
}
SEEDS["16 bit"] = encoded(Image.new("I;16", (9, 7), 999), "PNG")
SEEDS["LZW"] = encoded(SMOOTH, "TIFF", compression="tiff_lzw")
SEEDS["palette"] = encoded(Image.fromarray(SMOOTH).quantize(8), "PNG", transparency=1)


def answers(data):
    try:
        image, orientation = decode(data)
    except PhotographError as error:
        assert str(error)
        assert "\n" not in str(error)
    else:
        assert image.mode == "RGB"
        assert 1 <= orientation <= 8
        assert np.asarray(image).shape == (image.height, image.width, 3)


@given(st.binary(max_size=300))
@example(b"\xff\xd8\xff")
@example(b"II*\0\x08\0\0\0")
def test_random_bytes(data):
    answers(data)


@pytest.mark.parametrize("kind", SEEDS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_random_damage(kind, data):
    damaged = bytearray(SEEDS[kind])
    # Headers hold the surprises: half of the damage goes to the first bytes.
    places = st.one_of(st.integers(0, 60), st.integers(0, len(damaged) - 1))
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        damaged[min(place, len(damaged) - 1)] = byte
    cut = data.draw(st.none() | st.integers(0, len(damaged)))
    answers(bytes(damaged[:cut]))


# Photographs within larger files.


def test_a_piece_of_a_file_is_read_as_a_file(tmp_path):
    data = encoded(PIXELS, "PNG")
    (tmp_path / "shard").write_bytes(b"before" + data + b"after")
    piece = Piece(tmp_path / "shard", 6, len(data))
    assert read_bytes(piece) == data
    with upright(piece) as image:
        assert (np.asarray(image) == PIXELS).all()
    assert str(piece) == f"{tmp_path / 'shard'}, bytes 6 to {6 + len(data)}"


@pytest.mark.parametrize(
    ("offset", "length", "why"),
    [
        (0, 11, "the file ends before it"),
        (10**12, 1, "the file ends before it"),
        (-1, 3, "no place in a file"),
        (0, -1, "no place in a file"),
        (0, photograph.MAX_BYTES + 1, "no place in a file"),
    ],
)
def test_pieces_that_are_not_there(tmp_path, offset, length, why):
    (tmp_path / "shard").write_bytes(b"0123456789")
    with pytest.raises(PhotographError, match=why):
        read_bytes(Piece(tmp_path / "shard", offset, length))
    with pytest.raises(PhotographError, match="no such file"):
        read_bytes(Piece(tmp_path / "gone", offset, length))
