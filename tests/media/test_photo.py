import io
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from motion_transfer.errors import MediaError
from motion_transfer.media.photo import Photo, read_photo

UPRIGHT = np.zeros((90, 70, 3), np.uint8)
UPRIGHT[:45, :35] = (220, 40, 40)
UPRIGHT[45:, 35:] = (40, 60, 230)


def close(got: np.ndarray, want: np.ndarray, tolerance: float = 6) -> bool:
    return np.abs(got.astype(float) - want).mean() < tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_every_exif_orientation_comes_out_upright(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = Image.fromarray(UPRIGHT)
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"a{suffix}", exif=exif)
    assert close(read_photo(tmp_path / f"a{suffix}").rgb, UPRIGHT)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("CMYK", ".jpg"), ("CMYK", ".tif"), ("P", ".png"), ("P", ".gif"), ("RGB", ".bmp"),
        ("RGB", ".avif"), ("RGB", ".jp2"), ("YCbCr", ".jpg"), ("LAB", ".tif"), ("RGB", ".tif"),
    ],
)  # fmt: skip
def test_colour_modes(tmp_path: Path, mode: str, suffix: str) -> None:
    image = Image.fromarray(UPRIGHT)
    if mode == "LAB":
        image = ImageCms.profileToProfile(
            image,
            ImageCms.createProfile("sRGB"),
            ImageCms.createProfile("LAB"),
            outputMode="LAB",
        )
    else:
        image = image.convert(mode)
    image.save(tmp_path / f"a{suffix}")
    photo = read_photo(tmp_path / f"a{suffix}")
    assert close(photo.rgb, UPRIGHT, 12)
    assert photo.alpha is None


def test_heic(tmp_path: Path) -> None:
    heif = pillow_heif.from_pillow(Image.fromarray(UPRIGHT))
    heif.save(tmp_path / "a.heic", quality=90)
    assert close(read_photo(tmp_path / "a.heic").rgb, UPRIGHT)


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 80 * 80).reshape(80, 80).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    got = read_photo(tmp_path / "a.png").rgb
    assert np.abs(got[..., 0] - values / 257).max() <= 1
    assert (got[..., 0] == got[..., 2]).all()


def test_the_colour_profile_is_applied(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    renamed = srgb.replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))
    swapped = renamed.replace(b"rXYZ", b"tmp_").replace(b"bXYZ", b"rXYZ").replace(b"tmp_", b"bXYZ")
    for mode in ("RGB", "RGBA"):
        Image.fromarray(UPRIGHT).convert(mode).save(tmp_path / "a.png", icc_profile=swapped)
        assert close(read_photo(tmp_path / "a.png").rgb, UPRIGHT[..., ::-1], 2)


def test_a_damaged_colour_profile_is_ignored_with_a_warning(tmp_path: Path) -> None:
    Image.fromarray(UPRIGHT).save(tmp_path / "b.png", icc_profile=b"broken" * 40)
    with pytest.warns(UserWarning, match="colour profile is damaged"):
        assert close(read_photo(tmp_path / "b.png").rgb, UPRIGHT, 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_transparency_is_kept(tmp_path: Path, mode: str, suffix: str) -> None:
    rgba = np.dstack([UPRIGHT, np.full((90, 70), 255, np.uint8)])
    rgba[:, :20, 3] = 0
    image = Image.fromarray(rgba)
    if mode == "P":
        image = image.quantize(16, method=Image.Quantize.FASTOCTREE)
    if mode == "LA":
        image = image.convert("LA")
    image.save(tmp_path / f"a{suffix}")
    photo = read_photo(tmp_path / f"a{suffix}")
    assert photo.alpha is not None and photo.alpha.dtype == np.float32
    assert (photo.alpha[:, :18] == 0).all() and (photo.alpha[:, 22:] == 1).all()


def test_an_opaque_alpha_channel_is_none_and_colour_under_zero_alpha_stays(tmp_path: Path) -> None:
    rgba = np.dstack([UPRIGHT, np.full((90, 70), 255, np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png").alpha is None
    rgba[..., 3] = 0
    Image.fromarray(rgba).save(tmp_path / "b.png")
    assert (read_photo(tmp_path / "b.png").rgb == UPRIGHT).all()


def test_animated_image_gives_its_first_frame(tmp_path: Path) -> None:
    first, second = Image.fromarray(UPRIGHT), Image.new("RGB", (70, 90))
    for suffix in (".gif", ".webp", ".png"):
        first.save(tmp_path / f"a{suffix}", save_all=True, append_images=[second])
        assert close(read_photo(tmp_path / f"a{suffix}").rgb, UPRIGHT, 12)


def test_wrong_extension_is_no_matter(tmp_path: Path) -> None:
    Image.fromarray(UPRIGHT).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert (read_photo(tmp_path / "a.jpg").rgb == UPRIGHT).all()


def test_max_side_scales_down_and_never_up(tmp_path: Path) -> None:
    Image.new("RGB", (1500, 1000), (10, 200, 30)).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png", max_side=300)
    assert photo.size_hw == (200, 300) and photo.original_size_hw == (1000, 1500)
    assert (photo.rgb == (10, 200, 30)).all()
    assert read_photo(tmp_path / "a.png", max_side=5000).size_hw == (1000, 1500)


def test_a_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    for side in (12_000, 30_000):
        (tmp_path / "bomb.ppm").write_bytes(b"P6 %d %d 255\n" % (side, side) + bytes(999))
        with pytest.raises(MediaError, match=r"bomb.ppm: a photo may have at most 100 megapixels"):
            read_photo(tmp_path / "bomb.ppm")


def test_unusable_files_give_one_line(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    cases = {
        "cut.png": (buffer.getvalue()[:30_000], "cut.png: the photo must be a complete image"),
        "empty.jpg": (b"", "empty.jpg: a photo must be an image file .* got an empty file"),
        "text.jpg": (b"hello " * 50, "text.jpg: a photo must be an image file"),
        "eps.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "must be an image"),
    }
    for name, (data, match) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(MediaError, match=match) as caught:
            read_photo(tmp_path / name)
        assert "\n" not in str(caught.value)
    Image.new("RGB", (63, 500)).save(tmp_path / "thin.png")
    with pytest.raises(MediaError, match=r"at least 64 px, got 63x500"):
        read_photo(tmp_path / "thin.png")
    with pytest.raises(FileNotFoundError, match=r"no such photo: .*none.jpg"):
        read_photo(tmp_path / "none.jpg")
    with pytest.raises(MediaError, match="got a folder"):
        read_photo(tmp_path)


def test_photo_checks_its_fields() -> None:
    with pytest.raises(MediaError, match=r"rgb must be uint8 of shape \(H, W, 3\), got float64"):
        Photo(rgb=np.zeros((4, 4, 3)), alpha=None, original_size_hw=(4, 4))
    with pytest.raises(MediaError, match="alpha must be float32"):
        Photo(rgb=np.zeros((4, 4, 3), np.uint8), alpha=np.zeros((4, 5)), original_size_hw=(4, 4))
