"""The tab in which many photos meet many dances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from motion_transfer.errors import InputError
from motion_transfer.web.components import client_of, component, note
from motion_transfer.web.controls import Controls, read_controls
from motion_transfer.web.limits import wrong_setting
from motion_transfer.web.service import Service, list_dances


class BatchTab:
    """Widgets and what they do; the work is the service's.

    Args:
        service: of the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        gr.Markdown("Every photo does every dance. The page's address leads back to the table.")
        with gr.Row():
            with gr.Column(elem_classes="mt-card"):
                photos = gr.File(
                    label="Photos", file_count="multiple", file_types=["image"], height=200,
                    elem_id="batch-photos",
                )  # fmt: skip
            with gr.Column(elem_classes="mt-card"):
                dances = gr.File(
                    label="Dances: videos or pose tracks", file_count="multiple",
                    file_types=["video", ".gif", ".npz"], height=200, elem_id="batch-dances",
                )  # fmt: skip
                library = gr.CheckboxGroup(list(list_dances()), label="Dances that come with it")
        with gr.Accordion("Settings of all", open=False):
            controls = Controls.build()
        go = gr.Button("Animate all", variant="primary", elem_id="batch-go")
        said = gr.HTML(elem_classes="mt-slot")
        table = component("batch.js", elem_id="batch")
        go.click(
            self._start, [photos, dances, library, *controls.all()], [table, said],
            preprocess=False, show_progress="hidden", api_visibility="private",
        )  # fmt: skip

    def _start(
        self, request: gr.Request, photos: Any, dances: Any, library: list[str], *values: Any
    ) -> tuple[Any, str]:
        try:
            people = [Path(file["path"]) for file in photos or []]
            moves = [Path(file["path"]) for file in dances or []]
            moves += [self._service.library(name) for name in library or []]
            if not (people and moves):
                raise wrong_setting("Give one photo and one dance at least.")
            settings, picture = read_controls(values)
            batch = self._service.animate_all(
                client_of(request), people, moves, settings, picture=picture
            )
        except InputError as error:
            return gr.skip(), note(str(error), "error")
        return batch, ""
