"""Named endpoints for `gradio_client`; `docs/api.md` shows how they are called."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import gradio as gr

from motion_transfer.errors import InputError
from motion_transfer.web.components import client_of
from motion_transfer.web.jobs import Job
from motion_transfer.web.limits import wrong_setting
from motion_transfer.web.service import Service, list_dances

POLL_SECONDS = 0.25


def add_endpoints(service: Service) -> None:
    """Add them to the page that is being built; none of their widgets is shown."""
    calls = _Endpoints(service)
    with gr.Row(visible=False):
        photo = gr.File(label="photo")
        dance = gr.File(label="dance: a video or a pose track")
        library = gr.Textbox(label="library: instead of dance, the name of a shipped one")
        settings = gr.JSON(label="settings: as of transfer, and format", value={})
        job_id = gr.Textbox(label="job_id")
        form = gr.Textbox("mp4", label="format")
        start, end = gr.Number(0, label="start"), gr.Number(None, label="end")
        person = gr.Textbox("largest", label="person")
        video, sidecar = gr.File(label="result"), gr.File(label="sidecar")
        answer = gr.JSON(label="answer")
        wanted: list[Any] = [photo, dance, library, settings]
        for name, function, inputs, outputs in (
            ("animate", calls.animate, wanted, [video, sidecar]),
            ("submit", calls.submit, wanted, [answer]),
            ("job", calls.job, [job_id], [answer]),
            ("cancel", calls.cancel, [job_id], [answer]),
            ("again", calls.again, [job_id, form], [answer]),
            ("result", calls.result, [job_id], [video, sidecar]),
            ("track", calls.track, [dance, start, end, person], [video]),
            ("dances", calls.dances, [], [answer]),
        ):
            gr.Button(name).click(
                function, inputs, outputs, api_name=name, concurrency_limit=None,
                api_description=(function.__doc__ or "").strip(),
            )  # fmt: skip


def refusal(error: InputError) -> gr.Error:
    """The error that reaches the client, without a traceback in the server's log."""
    return gr.Error(str(error), print_exception=False)


class _Endpoints:
    """What is called; errors reach the client with their words."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def animate(
        self, request: gr.Request, photo: str | None, dance: str | None, library: str,
        settings: dict[str, Any] | None, progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[str]:  # fmt: skip
        """Render, and wait for it; gives the result and its sidecar."""
        try:
            job = self._submit(request, photo, dance, library, settings)
            return self._files(self._wait(job, progress))
        except InputError as error:
            raise refusal(error) from error

    def submit(
        self, request: gr.Request, photo: str | None, dance: str | None, library: str,
        settings: dict[str, Any] | None,
    ) -> dict[str, Any]:  # fmt: skip
        """Queue a render; gives the job at once."""
        try:
            job = self._submit(request, photo, dance, library, settings)
        except InputError as error:
            raise refusal(error) from error
        return self._service.store.describe(job)

    def job(self, job_id: str) -> dict[str, Any]:
        """State and progress of a job."""
        return self._service.store.describe(self._get(job_id))

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Stop a job."""
        job = self._get(job_id)
        self._service.store.cancel(job)
        self._service.store.wait(job, 5.0)
        return self._service.store.describe(job)

    def again(self, request: gr.Request, job_id: str, form: str) -> dict[str, Any]:
        """Render the same in another format; WebM and MOV become transparent."""
        try:
            job = self._service.again(client_of(request), self._get(job_id), form)
        except InputError as error:
            raise refusal(error) from error
        return self._service.store.describe(job)

    def result(self, job_id: str) -> list[str]:
        """Result and sidecar of a job that is done."""
        job = self._get(job_id)
        if job.state != "done" or "sidecar" not in job.answer:
            raise refusal(wrong_setting(f"job {job_id} has no result: it is {job.state}"))
        return self._files(job)

    def track(
        self, request: gr.Request, dance: str | None, start: float, end: float | None, person: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> str:  # fmt: skip
        """Track a video, and wait for it; gives the pose track."""
        try:
            if not dance:
                raise wrong_setting("dance: there is none; give a video")
            job = self._service.track(
                client_of(request), Path(dance), start=start or 0.0, end=end, person=person
            )
            return self._files(self._wait(job, progress))[0]
        except InputError as error:
            raise refusal(error) from error

    def dances(self) -> list[str]:
        """Names of the shipped dances."""
        return list(list_dances())

    def _submit(
        self, request: gr.Request, photo: str | None, dance: str | None, library: str,
        settings: dict[str, Any] | None,
    ) -> Job:  # fmt: skip
        chosen = Path(dance) if dance else None
        if library:
            chosen = self._service.library(library)
        return self._service.animate(
            client_of(request), Path(photo) if photo else None, chosen, settings or {}
        )

    def _get(self, job_id: str) -> Job:
        try:
            return self._service.store.get(job_id)
        except InputError as error:
            raise refusal(error) from error

    def _wait(self, job: Job, progress: gr.Progress) -> Job:
        """Until it is done.

        Raises:
            InputError: it failed or was cancelled.
        """
        while not job.has_ended:
            progress(job.share_done, desc=job.stage or job.state)
            self._service.store.wait(job, POLL_SECONDS)
        if job.state != "done":
            raise InputError(job.error or f"the job is {job.state}")
        return job

    def _files(self, job: Job) -> list[str]:
        """Copies where Gradio may give them out; it deletes them after a while."""
        folder = Path(os.environ["GRADIO_TEMP_DIR"]) / "results" / job.id
        folder.mkdir(parents=True, exist_ok=True)
        names = [job.answer[key] for key in ("output", "sidecar") if key in job.answer]
        return [
            str(shutil.copy(self._service.store.path(job, name), folder / name)) for name in names
        ]
