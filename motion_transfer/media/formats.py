"""What kinds of output there are; the name of the output chooses."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from motion_transfer.errors import MediaError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """How one kind of output is written: segments of `codec`, then `container`."""

    title: str
    container: str  # FFmpeg's name of the muxer
    codec: str
    pixel_format: str
    alpha_codec: str | None  # None: cannot be transparent
    alpha_pixel_format: str | None
    segment_suffix: str
    audio_codec: str | None


_H264 = Format(
    title="H.264 in MP4", container="mp4", codec="libx264", pixel_format="yuv420p",
    alpha_codec=None, alpha_pixel_format=None, segment_suffix=".mp4", audio_codec="aac",
)  # fmt: skip
FORMATS = {
    ".mp4": _H264,
    ".m4v": _H264,
    ".mkv": dataclasses.replace(_H264, title="H.264 in Matroska", container="matroska"),
    ".webm": Format(
        title="VP9 in WebM", container="webm", codec="libvpx-vp9", pixel_format="yuv420p",
        alpha_codec="libvpx-vp9", alpha_pixel_format="yuva420p", segment_suffix=".webm",
        audio_codec="opus",
    ),
    ".mov": Format(
        title="ProRes in MOV", container="mov", codec="prores_ks", pixel_format="yuv422p10le",
        alpha_codec="prores_ks", alpha_pixel_format="yuva444p10le", segment_suffix=".mov",
        audio_codec="aac",
    ),
    ".gif": Format(
        title="GIF", container="gif", codec="ffv1", pixel_format="bgr0",
        alpha_codec="ffv1", alpha_pixel_format="bgra", segment_suffix=".mkv", audio_codec=None,
    ),
}  # fmt: skip
PNG = Format(
    title="PNG sequence", container="png", codec="png", pixel_format="rgb24",
    alpha_codec="png", alpha_pixel_format="rgba", segment_suffix="", audio_codec=None,
)  # fmt: skip
_CHOICES = (
    ".mp4, .m4v or .mkv (H.264), .webm (VP9, can be transparent), .mov (ProRes, can be "
    "transparent), .gif, or a folder (name ending in /) or NAME_%05d.png for PNG frames"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """Where the result goes."""

    path: Path  # the file, or the folder of a PNG sequence
    format: Format
    png_name: str = ""  # such as '%05d.png'

    def existing(self) -> list[Path]:
        """What a finished run would replace."""
        if self.format is not PNG:
            return [self.path] if self.path.exists() else []
        if not self.path.is_dir():
            return [self.path] if self.path.exists() else []
        before, after = re.split(r"%0?\d*d", self.png_name)
        name = re.compile(re.escape(before) + r"\d+" + re.escape(after))
        return sorted(p for p in self.path.iterdir() if name.fullmatch(p.name))


def parse_target(path: str | os.PathLike[str]) -> Target:
    """The place and format that an output name stands for.

    Args:
        path: output name, as for `VideoWriter.open`.

    Returns:
        The target.

    Raises:
        MediaError: nothing can be written under such a name; the message lists what can.
    """
    text = os.fspath(path)
    target = Path(text)
    if target.suffix.lower() == ".png" and "%" in target.name:
        if not re.fullmatch(r"[^%]*%0?\d*d[^%]*", target.name):
            raise MediaError(
                f"output: a PNG pattern must hold one number like %05d, got {target.name}"
            )
        return Target(path=target.parent, format=PNG, png_name=target.name)
    if text.endswith(("/", os.sep)) or target.is_dir():
        return Target(path=target, format=PNG, png_name="%05d.png")
    if (chosen := FORMATS.get(target.suffix.lower())) is None:
        raise MediaError(f"output: the name must end in {_CHOICES}; got {target.name!r}")
    return Target(path=target, format=chosen)


def can_be_transparent(path: str | os.PathLike[str]) -> bool:
    """Whether an output of this name can hold an alpha channel.

    Args:
        path: output name, as for `VideoWriter.open`.

    Raises:
        MediaError: nothing can be written under such a name; the message lists what can.
    """
    return parse_target(path).format.alpha_codec is not None


def can_hold_audio(path: str | os.PathLike[str]) -> bool:
    """Whether an output of this name can hold sound.

    Args:
        path: output name, as for `VideoWriter.open`.

    Raises:
        MediaError: nothing can be written under such a name; the message lists what can.
    """
    return parse_target(path).format.audio_codec is not None
