"""The tab in which the webcam drives the photo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from motion_transfer.errors import InputError
from motion_transfer.web.components import client_of, component, note
from motion_transfer.web.service import DEMOS, Service

LOOK_SECONDS = 120.0


class LiveTab:
    """Widgets and what they do; pictures go past Gradio, straight to the service.

    Args:
        service: of the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        gr.Markdown(
            "Stand so that the camera sees you from head to foot. The first second measures you "
            "against the photo. One session at a time; nothing is recorded."
        )
        with gr.Row():
            with gr.Column(elem_classes="mt-card", scale=1):
                photo = gr.Image(
                    type="filepath", sources=["upload", "clipboard"], height=260,
                    label="Photo of a person", elem_id="live-photo",
                )  # fmt: skip
                demo = gr.Button("Try the demo photo", size="sm")
                said = gr.HTML(elem_classes="mt-slot")
            with gr.Column(elem_classes="mt-card", scale=3):
                live = component("live.js", elem_id="live")
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        photo.input(self._new_photo, photo, [said, live], preprocess=False, **quiet)
        demo.click(self._demo_photo, None, [said, live], **quiet)

    def _new_photo(
        self, request: gr.Request, upload: dict[str, Any] | None
    ) -> Iterator[tuple[Any, Any]]:
        if upload:
            yield from self._look(request, Path(upload["path"]))

    def _demo_photo(self, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        yield from self._look(request, DEMOS / "person.jpg")

    def _look(self, request: gr.Request, path: Path) -> Iterator[tuple[Any, Any]]:
        yield note("Looking for people in the photo…", "busy"), gr.skip()
        try:
            job = self._service.look_photo(client_of(request), path)
            self._service.store.wait(job, LOOK_SECONDS)
            if job.state != "done":
                raise InputError(job.error or "this took too long; try again")
        except InputError as error:
            yield note(str(error), "error"), gr.skip()
            return
        yield "", {"photo": job.id, "url": f"jobs/{job.id}/files/photo.jpg"}
