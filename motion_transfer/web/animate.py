"""One page: a photo and a dance in, the person dancing out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import gradio as gr

from motion_transfer.errors import InputError
from motion_transfer.pipeline import PRESETS, transfer

STAGES = {"photo": "Looking at the photo", "render": "Rendering", "finish": "Adding the sound"}


def build_app() -> gr.Blocks:
    """The page; `launch()` serves it."""
    with gr.Blocks(title="motion-transfer") as page:
        gr.Markdown("# motion-transfer\nA photographed person does the dance of a video.")
        with gr.Row():
            photo = gr.Image(type="filepath", label="Photo of a person")
            dance = gr.Video(label="Dance")
            result = gr.Video(label="Result", interactive=False)
        with gr.Row():
            preset = gr.Radio(list(PRESETS), value="fast", label="Preset")
            smooth = gr.Slider(0, 1, 0.5, step=0.05, label="Smoothing")
            background = gr.Textbox("original", label="Background: original, blur, driving, colour")
        button = gr.Button("Animate", variant="primary")
        button.click(
            _animate, [photo, dance, preset, smooth, background], result, api_name="animate"
        )
    return page


def _animate(
    photo: str | None, dance: str | None, preset: Any, smooth: float, background: str,
    progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it in
) -> str:  # fmt: skip
    if not photo or not dance:
        raise gr.Error("Give a photo and a dance first.")

    def report(stage: str, done: int, total: int | None) -> None:
        progress((done, total), desc=STAGES.get(stage, stage))

    folder = Path(tempfile.mkdtemp(prefix="motion-transfer-"))
    try:
        made = transfer(
            photo, dance, folder / "result.mp4", preset=preset, smooth=smooth,
            background=background.strip() or "original", progress=report,
        )  # fmt: skip
    except (InputError, FileNotFoundError) as error:
        raise gr.Error(str(error)) from error
    return str(made.output)
