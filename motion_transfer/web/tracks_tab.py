"""The tab in which pose tracks are made, looked at, and kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from motion_transfer.driver import is_track
from motion_transfer.errors import InputError
from motion_transfer.web.components import client_of, component, empty, note
from motion_transfer.web.jobs import Job
from motion_transfer.web.service import DEMOS, Service

POLL_SECONDS = 0.5
NOTHING = "Confidence and speed of a dance appear here."


class TracksTab:
    """Widgets and what they do; the work is the service's.

    Args:
        service: of the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        gr.Markdown(
            "A pose track holds the dancer's movement and no picture of them. It drives any number "
            "of photos without being tracked again."
        )
        with gr.Row():
            with gr.Column(elem_classes="mt-card", scale=1):
                self.upload = gr.File(
                    label="Video of somebody dancing, or a pose track (.npz)", height=160,
                    file_types=["video", ".gif", ".npz"], elem_id="track-upload",
                )  # fmt: skip
                self.demo = gr.Button("Try the demo dance", size="sm")
                with gr.Row():
                    self.start = gr.Number(0, label="Start, seconds", minimum=0)
                    self.end = gr.Number(
                        0, label="End, seconds; 0 is the end of the video", minimum=0
                    )
                self.person = gr.Textbox(
                    "largest", label="Who", info="largest, a number from the left, or x,y"
                )
                self.go = gr.Button("Make the track", variant="primary", elem_id="track-go")
                self.note = gr.HTML(elem_classes="mt-slot")
            with gr.Column(elem_classes="mt-card", scale=3):
                self.nothing = gr.HTML(empty(NOTHING))
                self.view = component("track.js", elem_id="track-view")
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        outputs = [self.note, self.nothing, self.view]
        range_of = [self.start, self.end, self.person]
        self.go.click(self._make, [self.upload, *range_of], outputs, preprocess=False, **quiet)
        self.upload.upload(self._show, self.upload, outputs, preprocess=False, **quiet)
        self.demo.click(self._make_demo, range_of, outputs, **quiet)

    def _make(
        self, request: gr.Request, upload: Any, start: float, end: float | None, person: str
    ) -> Iterator[tuple[Any, ...]]:
        if not upload:
            yield note("Give a video first.", "error"), gr.skip(), gr.skip()
            return
        path = Path(upload["path"])
        if is_track(path):
            yield from self._follow(lambda: self._service.inspect(client_of(request), path))
            return
        yield from self._follow(
            lambda: self._service.track(
                client_of(request), path, start=start or 0.0, end=end or None, person=person
            )
        )

    def _make_demo(
        self, request: gr.Request, start: float, end: float | None, person: str
    ) -> Iterator[tuple[Any, ...]]:
        yield from self._make(request, {"path": DEMOS / "dance.mp4"}, start, end, person)

    def _show(self, request: gr.Request, upload: Any) -> Iterator[tuple[Any, ...]]:
        """A track is shown at once; a video waits for the button."""
        if upload and is_track(upload["path"]):
            yield from self._make(request, upload, 0.0, None, "largest")

    def _follow(self, submit: Any) -> Iterator[tuple[Any, ...]]:
        """Progress, then curves."""
        try:
            yield note("Getting ready…", "busy"), gr.skip(), gr.skip()
            job: Job = submit()
            while not job.has_ended:
                share = f" {100 * job.done // job.total} %" if job.total else ""
                words = "Waiting for its turn…" if job.state == "queued" else f"Tracking…{share}"
                yield note(words, "busy"), gr.skip(), gr.skip()
                self._service.store.wait(job, POLL_SECONDS)
            if job.state != "done":
                raise InputError(job.error or "cancelled")
        except InputError as error:
            yield note(str(error), "error"), gr.skip(), gr.skip()
            return
        output = job.answer.get("output")
        download = f"jobs/{job.id}/files/{output}?download=1" if output else None
        yield "", gr.update(visible=False), job.answer | {"download": download}
