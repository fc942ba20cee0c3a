"""Reading a photo: whatever a phone, camera or editor writes comes out as upright sRGB."""

from __future__ import annotations

import dataclasses
import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from motion_transfer.errors import MediaError

MAX_MEGAPIXELS = 100
MIN_SIDE = 64  # pixels; below this the head is a few pixels wide and no tracker finds it

# Formats that hold photos (JPEG includes MPO). Pillow also opens EPS, which runs Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "GIF", "BMP", "JPEG2000", "PPM")
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .webp .heic .heif .hif .avif .tif .tiff .gif .bmp .jp2 .ppm "
    ".pgm .pnm".split()
)
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, MemoryError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Photo:
    """One upright photo.

    Args:
        rgb: (H, W, 3) uint8, sRGB. Under zero alpha the colour may be garbage.
        alpha: (H, W) float32 in [0, 1], or None where every pixel is opaque.
        original_size_hw: upright height and width in the file, before `max_side`.

    Raises:
        MediaError: a field has the wrong shape or type.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None
    original_size_hw: tuple[int, int]

    def __post_init__(self) -> None:
        if self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.dtype != np.uint8:
            raise MediaError(
                f"rgb must be uint8 of shape (H, W, 3), got {self.rgb.dtype} {self.rgb.shape}"
            )
        if self.alpha is not None and (
            self.alpha.shape != self.rgb.shape[:2] or self.alpha.dtype != np.float32
        ):
            raise MediaError(
                f"alpha must be float32 of shape {self.rgb.shape[:2]} to match rgb, "
                f"got {self.alpha.dtype} {self.alpha.shape}"
            )

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of `rgb` in pixels."""
        return self.rgb.shape[0], self.rgb.shape[1]


def read_photo(path: str | os.PathLike[str], *, max_side: int | None = None) -> Photo:
    """Read a photo of any common format, upright, as sRGB; the first frame if it is animated.

    The format is read from the content, so a wrong file extension does no harm.

    Args:
        path: JPEG, PNG, WebP, HEIC, AVIF, TIFF, GIF, BMP, JPEG 2000 or PNM file.
        max_side: longest side in pixels; larger photos are scaled down (Lanczos), never up.

    Returns:
        The photo; `alpha` is None where the file has no transparency.

    Raises:
        FileNotFoundError: there is no such file.
        MediaError: the file is not a photo, is damaged, too large or too small.
    """
    path = Path(path)
    image = decode_image(path)
    original_size_hw = (image.height, image.width)
    if min(original_size_hw) < MIN_SIDE:
        raise MediaError(
            f"{path.name}: the short side must have at least {MIN_SIDE} px, "
            f"got {image.width}x{image.height}; use a larger photo"
        )
    if max_side is not None and max(image.size) > max_side:
        scale = max_side / max(image.size)
        image = image.resize(
            (max(1, round(image.width * scale)), max(1, round(image.height * scale))),
            Image.Resampling.LANCZOS,
            reducing_gap=3.0,
        )
    pixels = np.asarray(image)
    alpha = None
    if pixels.shape[2] == 4 and pixels[..., 3].min() < 255:
        alpha = pixels[..., 3].astype(np.float32) / 255
    return Photo(
        rgb=np.ascontiguousarray(pixels[..., :3]), alpha=alpha, original_size_hw=original_size_hw
    )


def decode_image(path: Path) -> Image.Image:
    """Decode to an upright image of mode RGB or RGBA in sRGB.

    Args:
        path: an image file.

    Returns:
        The first frame, loaded.

    Raises:
        FileNotFoundError: there is no such file.
        MediaError: the file is not an image, is damaged or too large.
    """
    if not path.exists():
        raise FileNotFoundError(f"no such photo: {path}")
    if path.is_dir():
        raise MediaError(f"{path.name}: a photo must be a file, got a folder; give one image file")
    pillow_heif.register_heif_opener()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_large(path, str(error)) from error
    except UnidentifiedImageError as error:
        raise MediaError(
            f"{path.name}: a photo must be an image file such as JPEG, PNG, WebP or HEIC, "
            f"got {'an empty file' if path.stat().st_size == 0 else 'something else'}; "
            "convert it to JPEG or PNG"
        ) from error
    except _DECODE_ERRORS as error:
        raise _damaged(path, error) from error
    with opened as image:
        if image.width * image.height > MAX_MEGAPIXELS * 1_000_000:
            raise _too_large(path, f"{image.width}x{image.height}")
        try:
            image.load()
            return _to_srgb(ImageOps.exif_transpose(image))
        except _DECODE_ERRORS as error:
            raise _damaged(path, error) from error


def _to_srgb(image: Image.Image) -> Image.Image:
    """Any mode -> RGB or RGBA, through the embedded colour profile where there is one."""
    icc = image.info.get("icc_profile")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _to_8_bit(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode not in ("RGB", "CMYK"):
        image = image.convert("RGB")
    return _apply_profile(image, icc) if icc else _drop_cmyk(image)


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Single-channel 16 or 32 bit -> 8 bit. `convert('L')` would clip at 255 instead of scaling."""
    values = np.asarray(image).astype(np.float64)
    if image.mode == "F" and values.size and 0 <= values.min() and values.max() <= 1:
        values = values * 65535
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("grey values outside 16 bits")
    return Image.fromarray(np.rint(values / 257).astype(np.uint8))


def _apply_profile(image: Image.Image, icc: bytes) -> Image.Image:
    """Convert to sRGB; a profile that is broken or of another colour space is ignored."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = profile.profile.xcolor_space.strip()
        if space == "CMYK" and image.mode == "CMYK":
            return _profile_to_srgb(image, profile)
        if space == "RGB" and "srgb" not in ImageCms.getProfileDescription(profile).lower():
            if image.mode == "RGB":
                return _profile_to_srgb(image, profile)
            if image.mode == "RGBA":
                rgb = _profile_to_srgb(image.convert("RGB"), profile)
                rgb.putalpha(image.getchannel("A"))
                return rgb
    except (ImageCms.PyCMSError, OSError):
        warnings.warn("the photo's colour profile is damaged and was ignored", stacklevel=2)
    return _drop_cmyk(image)


def _profile_to_srgb(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert converted is not None  # None only with inPlace=True
    return converted


def _drop_cmyk(image: Image.Image) -> Image.Image:
    return image.convert("RGB") if image.mode == "CMYK" else image


def _damaged(path: Path, error: BaseException) -> MediaError:
    return MediaError(
        f"{path.name}: the photo must be a complete image file, got damaged or truncated data "
        f"({error}); export or download it again"
    )


def _too_large(path: Path, got: str) -> MediaError:
    return MediaError(
        f"{path.name}: a photo may have at most {MAX_MEGAPIXELS} megapixels, got {got}; "
        "scale it down first"
    )
