"""PNG and JPEG images, whose size is checked before their pixels are decoded."""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageOps, UnidentifiedImageError

from pc_crvae.errors import UserError, told

MOST_PIXELS = 1 << 25
"""Of one image, 33 megapixels: a small file can promise more than memory holds."""

_GREY = ("1", "L", "LA")
_COLOUR = ("P", "RGB", "RGBA")

_MOST_PIXELS_A_BYTE = 8 * 1032
"""Of a PNG image of one bit a pixel, packed as well as deflate can (RFC 1951); JPEG has fewer."""

# What Pillow raises depends on the format and on the part of the file that is damaged.
_DAMAGE = (OSError, SyntaxError, ValueError, IndexError, struct.error)


def decode_image(
    content: bytes, name: str, size: tuple[int, int] | None = None, *, upright: bool = False
) -> Image.Image:
    """Decode an image, in the mode that it is stored in.

    Args:
        content: what the file holds.
        name: the file, for errors.
        size: the width and height that it should have.
        upright: whether to turn a photograph as its camera noted.

    Raises:
        UserError: it is neither PNG nor JPEG, is damaged, or has another size than it should, more
            than MOST_PIXELS, or more than its bytes can hold; the sentence names the file.
    """
    with _damage_told(name):
        image: Image.Image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
        _check_size(image, name, size, len(content))
        image.load()
        if upright:
            ImageOps.exif_transpose(image, in_place=True)
    return image


def as_grey_or_rgb(image: Image.Image, name: str) -> Image.Image:
    """Return an image of :func:`decode_image` in the mode L or RGB, whose values it keeps.

    Raises:
        UserError: it is see-through in places, or neither grey nor in colour at 8 bits.
    """
    if image.mode not in (*_GREY, *_COLOUR):
        raise UserError(
            f"{name} is neither grey nor RGB of 8 bits, its pixels are {image.mode}: convert it"
        )
    if image.mode == "P" and image.palette is None:
        raise UserError(f"{name} is a damaged image (it has no palette): replace it")
    with _damage_told(name):
        if image.has_transparency_data:
            opaque = image.convert("RGBA").getchannel("A").getextrema() == (255, 255)
            if not opaque:
                raise UserError(f"{name} is see-through in places: save it on a background")
        mode = "L" if image.mode in _GREY else "RGB"
        return image if image.mode == mode else image.convert(mode)


@contextmanager
def _damage_told(name: str) -> Iterator[None]:
    telling = told(f"{name} is a damaged image", *_DAMAGE, remedy="replace it")
    with telling, warnings.catch_warnings():
        # Pillow warns of what it can do without, and of images within a bound wider than ours.
        warnings.simplefilter("ignore")
        try:
            yield
        except UnidentifiedImageError as error:
            raise UserError(f"{name} is not a PNG or JPEG image: replace it") from error
        except Image.DecompressionBombError as error:
            raise UserError(
                f"{name} has more than the {MOST_PIXELS} pixels that are read"
            ) from error


def _check_size(image: Image.Image, name: str, size: tuple[int, int] | None, length: int) -> None:
    found = f"{name} has {image.width}x{image.height} pixels"
    if size is not None and image.size != size:
        raise UserError(f"{found}, not {size[0]}x{size[1]}")
    if image.width * image.height > MOST_PIXELS:
        raise UserError(f"{found}, more than the {MOST_PIXELS} that are read: make it smaller")
    if image.width * image.height > _MOST_PIXELS_A_BYTE * length:
        raise UserError(f"{found}, more than its {length} bytes can hold: replace it")
