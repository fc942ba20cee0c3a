"""The settings of a render as controls, and back."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import gradio as gr

from motion_transfer.web.limits import wrong_setting
from motion_transfer.web.service import presets
from motion_transfer.web.settings import FORMATS, PICTURE, Settings

BACKGROUNDS = [
    ("As in the photo", "original"), ("Blurred", "blur"), ("The video's", "driving"),
    ("One colour", "colour"), ("A picture", PICTURE), ("Transparent", "transparent"),
]  # fmt: skip
_DEFAULT = Settings()


@dataclasses.dataclass(frozen=True)
class Controls:
    """The controls of a render, in the order in which handlers get their values."""

    preset: gr.Radio
    smooth: gr.Slider
    travel: gr.Slider
    background: gr.Dropdown
    colour: gr.ColorPicker
    picture: gr.Image
    scale: gr.Slider
    right: gr.Slider
    down: gr.Slider
    side_by_side: gr.Checkbox
    audio: gr.Checkbox
    format: gr.Radio
    seed: gr.Number

    @classmethod
    def build(cls) -> Controls:
        """Lay the controls out."""
        with gr.Row():
            with gr.Column(min_width=260):
                preset = gr.Radio(
                    [("Fast, up to 1280 pixels", "fast"), ("HD, up to 1920 pixels", "hd")],
                    value=presets()[0], label="Preset",
                )  # fmt: skip
                smooth = gr.Slider(
                    0, 1, _DEFAULT.smooth, step=0.05, label="Smoothing",
                    info="0 keeps every jitter, 1 is very smooth",
                )  # fmt: skip
                background = gr.Dropdown(BACKGROUNDS, value="original", label="Background")
                colour = gr.ColorPicker("#1f9d8f", label="Colour of the background", visible=False)
                picture = gr.Image(
                    type="filepath", label="Picture for the background", visible=False,
                    sources=["upload"], height=160,
                )  # fmt: skip
            with gr.Column(min_width=260):
                scale = gr.Slider(
                    0.3, 2, _DEFAULT.scale, step=0.05, label="Size of the person",
                    info="1 is as in the photo",
                )  # fmt: skip
                right = gr.Slider(-0.5, 0.5, 0, step=0.02, label="To the right",
                                  info="share of the picture's width")  # fmt: skip
                down = gr.Slider(-0.5, 0.5, 0, step=0.02, label="Down",
                                 info="share of the picture's height")  # fmt: skip
            with gr.Column(min_width=260):
                travel = gr.Slider(
                    0, 1, _DEFAULT.travel, step=0.1, label="Way to the sides",
                    info="0 stays on the spot, 1 goes all the dancer's way",
                )  # fmt: skip
                form = gr.Radio([(f.upper(), f) for f in FORMATS], value="mp4", label="Format")
                side_by_side = gr.Checkbox(False, label="Dance, photo and result side by side")
                audio = gr.Checkbox(True, label="Keep the sound of the dance")
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1)
        background.change(
            _show_background, [background, form], [colour, picture, form], show_progress="hidden",
            queue=False, api_visibility="private",
        )  # fmt: skip
        return cls(
            preset=preset, smooth=smooth, travel=travel, background=background, colour=colour,
            picture=picture, scale=scale, right=right, down=down, side_by_side=side_by_side,
            audio=audio, format=form, seed=seed,
        )  # fmt: skip

    def all(self) -> list[Any]:
        """The components."""
        return [getattr(self, field.name) for field in dataclasses.fields(self)]


def read_controls(values: tuple[Any, ...]) -> tuple[dict[str, Any], Path | None]:
    """Settings, and the picture of the background, from the values of `Controls.all`."""
    names = [field.name for field in dataclasses.fields(Controls)]
    given = dict(zip(names, values, strict=True))
    picture = given.pop("picture")
    given["shift"] = (given.pop("right"), given.pop("down"))
    colour = given.pop("colour")
    if given["background"] == "colour":
        given["background"] = as_hex(colour)
    wants_picture = given["background"] == PICTURE
    return given, Path(picture["path"]) if wants_picture and picture else None


def write_controls(settings: Settings) -> list[Any]:
    """Values for `Controls.all` from settings."""
    known = {value for _, value in BACKGROUNDS}
    background = settings.background if settings.background in known else "colour"
    colour = settings.background if background == "colour" else gr.skip()
    return [
        settings.preset, settings.smooth, settings.travel, background, colour, gr.skip(),
        settings.scale, *settings.shift, settings.side_by_side, settings.audio, settings.format,
        settings.seed,
    ]  # fmt: skip


def read_sidecar(path: Path) -> Settings:
    """The settings that a downloaded JSON file holds.

    Raises:
        Refused: it is no such file.
    """
    try:
        return Settings.from_sidecar(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError):
            raise wrong_setting(f"{path.name} is not JSON; give the sidecar of a result") from error
        raise


def as_hex(colour: str) -> str:
    """`rgba(31.4, 157, 143, 1)`, as the colour picker says it, to `#1f9d8f`."""
    if match := re.fullmatch(r"rgba?\(([\d.]+),\s*([\d.]+),\s*([\d.]+).*\)", colour):
        return "#" + "".join(f"{min(255, round(float(part))):02x}" for part in match.groups())
    return colour


def _show_background(kind: str, form: str) -> tuple[Any, Any, Any]:
    """Only what belongs to the chosen background; MP4 cannot be transparent."""
    needs_alpha = kind == "transparent" and form == "mp4"
    return (
        gr.update(visible=kind == "colour"),
        gr.update(visible=kind == PICTURE),
        "webm" if needs_alpha else form,
    )
