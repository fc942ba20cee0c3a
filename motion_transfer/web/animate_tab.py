"""The tab in which one photo meets one dance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from motion_transfer.errors import InputError
from motion_transfer.web.components import client_of, component, empty, note
from motion_transfer.web.controls import Controls, read_controls, read_sidecar, write_controls
from motion_transfer.web.jobs import Job
from motion_transfer.web.limits import wrong_setting
from motion_transfer.web.service import DEMOS, Service, list_dances
from motion_transfer.web.settings import Settings
from motion_transfer.web.tasks import skeleton

LOOK_SECONDS = 180.0
NEW_CHOICE: dict[str, Any] = {
    "photo": "", "dance": "", "joints": {}, "source_person": "largest",
    "person": "largest", "start": 0.0, "end": None,
}  # fmt: skip
EMPTY_PREVIEW = "The skeleton that will dance appears here when there is a photo and a dance."


class AnimateTab:
    """Widgets and what they do; the work is the service's.

    Args:
        service: of the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._build()
        self._wire()

    def _build(self) -> None:
        self.choice = gr.State(dict(NEW_CHOICE))
        with gr.Row():
            with gr.Column(elem_classes="mt-card"):
                gr.Markdown("### 1. The photo")
                self.photo = gr.Image(
                    type="filepath", sources=["upload", "webcam", "clipboard"], height=300,
                    label="Photo of a person", elem_id="photo",
                )  # fmt: skip
                self.demo_photo = gr.Button("Try the demo photo", size="sm")
                self.photo_note = gr.HTML(elem_classes="mt-slot")
                self.photo_view = component("photo.js", elem_id="photo-view")
            with gr.Column(elem_classes="mt-card"):
                gr.Markdown("### 2. The dance")
                self.dance = gr.Video(
                    sources=["upload", "webcam"], include_audio=True, height=300,
                    label="Video of somebody dancing", elem_id="dance",
                )  # fmt: skip
                with gr.Row() as self.dance_more:
                    self.demo_dance = gr.Button("Try the demo dance", size="sm")
                    self.track_file = gr.UploadButton(
                        "Upload a pose track", file_types=[".npz"], size="sm"
                    )
                self.dance_note = gr.HTML(elem_classes="mt-slot")
                with gr.Accordion("Dances that come with it", open=True) as self.library_box:
                    self.library = component(
                        "library.js", _library(), elem_id="library", css="mt-library"
                    )
                self.dance_view = component("dance.js", elem_id="dance-view")
        with gr.Row():
            with gr.Column(elem_classes="mt-card", scale=2):
                gr.Markdown("### 3. Preview")
                self.preview = gr.HTML(
                    empty(EMPTY_PREVIEW), elem_id="preview", elem_classes="mt-skeleton"
                )
            with gr.Column(elem_classes="mt-card", scale=3):
                gr.Markdown("### 4. Render")
                self.render = gr.Button("Animate", variant="primary", size="lg", elem_id="render")
                self.render_note = gr.HTML(elem_classes="mt-slot")
                with gr.Accordion("Settings", open=True, elem_id="settings"):
                    self.controls = Controls.build()
                    self.sidecar = gr.UploadButton(
                        "Same again: settings of an earlier result (JSON)", file_types=[".json"],
                        size="sm",
                    )  # fmt: skip
                    self.forget = gr.Button("Back to the defaults", size="sm")
        self.job = component("job.js", elem_id="job", remember=True)

    def _wire(self) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        raw: dict[str, Any] = quiet | {"preprocess": False}
        seen_photo = [self.choice, self.photo, self.demo_photo, self.photo_note, self.photo_view]
        seen_dance = [
            self.choice, self.dance, self.dance_more, self.library_box, self.dance_note,
            self.dance_view,
        ]  # fmt: skip
        placed = [getattr(self.controls, n) for n in ("smooth", "travel", "scale", "right", "down")]
        to_preview: dict[str, Any] = {
            "fn": self._preview, "inputs": [self.choice, *placed], "outputs": self.preview,
            "trigger_mode": "always_last", **quiet,
        }  # fmt: skip
        for listen, look, inputs in (
            (self.photo.input, self._new_photo, [self.choice, self.photo]),
            (self.demo_photo.click, self._demo_photo, [self.choice]),
            (self.photo_view.chosen, self._other_person, [self.choice]),
        ):
            looked = listen(look, inputs, seen_photo, **raw)
            looked.then(self._cut_out, [self.choice, self.photo_view], self.photo_view, **quiet)
            looked.then(**to_preview)
        for listen, see, inputs in (
            (self.dance.input, self._new_dance, [self.choice, self.dance]),
            (self.track_file.upload, self._new_dance, [self.choice, self.track_file]),
            (self.demo_dance.click, self._demo_dance, [self.choice]),
            (self.library.chosen, self._library_dance, [self.choice]),
        ):
            looked = listen(see, inputs, seen_dance, **raw)
            looked.then(**to_preview)
        self.photo_view.removed(self._remove_photo, self.choice, seen_photo, **quiet)
        self.dance_view.removed(self._remove_dance, self.choice, seen_dance, **quiet)
        for listen, change in (
            (self.photo_view.moved, self._move_joints),
            (self.dance_view.trimmed, self._trim),
        ):
            listen(change, self.choice, self.choice, queue=False, **quiet).then(**to_preview)
        self.dance_view.chosen(
            self._choose_dancer, [self.choice, self.dance_view], [self.choice, self.dance_view],
            queue=False, **quiet,
        ).then(**to_preview)  # fmt: skip
        for control in placed:
            control.release(**to_preview)
        self.render.click(
            self._render, [self.choice, *self.controls.all()], [self.job, self.render_note], **raw
        )
        self.sidecar.upload(
            self._same_again, self.sidecar, [*self.controls.all(), self.render_note], **raw
        ).then(**to_preview)
        self.forget.click(
            lambda: write_controls(Settings()), None, self.controls.all(), **quiet
        ).then(**to_preview)

    # --- the photo -------------------------------------------------------------------------------

    def _new_photo(
        self, request: gr.Request, choice: dict[str, Any], upload: dict[str, Any] | None
    ) -> Iterator[tuple[Any, ...]]:
        if upload:
            yield from self._see_photo(request, choice, Path(upload["path"]), "largest")

    def _demo_photo(self, request: gr.Request, choice: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        yield from self._see_photo(request, choice, DEMOS / "person.jpg", "largest")

    def _other_person(
        self, request: gr.Request, event: gr.EventData, choice: dict[str, Any]
    ) -> Iterator[tuple[Any, ...]]:
        path = Path(self._service.store.get(choice["photo"]).arguments["photo"])
        yield from self._see_photo(request, choice, path, str(event.person))

    def _see_photo(
        self, request: gr.Request, choice: dict[str, Any], path: Path, person: str
    ) -> Iterator[tuple[Any, ...]]:
        """People and joints of a new photo, or of another person in it."""
        keep = gr.skip()
        yield keep, keep, keep, note("Looking for people in the photo…", "busy"), keep
        try:
            job = self._service.look_photo(client_of(request), path, person)
            self._finish(job)
        except InputError as error:
            yield keep, gr.update(value=None), keep, note(str(error), "error"), keep
            return
        choice = choice | {"photo": job.id, "joints": {}, "source_person": person}
        view = {
            **job.answer, "url": f"jobs/{job.id}/files/photo.jpg", "cutout": None, "moved": {},
        }  # fmt: skip
        count = len(job.answer["people"])
        words = f"{count} people; click the one to animate." if count > 1 else ""
        yield choice, gr.update(visible=False), gr.update(visible=False), note(words), view

    def _cut_out(self, request: gr.Request, choice: dict[str, Any], view: Any) -> Any:
        """The matte, which takes longer than the joints."""
        if not choice["photo"] or not view:
            return gr.skip()
        seen = self._service.store.get(choice["photo"])
        job = self._service.cut_out(client_of(request), seen)
        try:
            self._finish(job)
        except InputError:
            return gr.skip()  # the render will say what is wrong; joints can be seen to already
        return view | {"cutout": f"jobs/{job.id}/files/cutout.png", "moved": choice["joints"]}

    def _remove_photo(self, choice: dict[str, Any]) -> tuple[Any, ...]:
        shown = gr.update(visible=True)
        return (
            choice | {"photo": "", "joints": {}}, gr.update(value=None, visible=True), shown, "", {}
        )  # fmt: skip

    def _move_joints(self, event: gr.EventData, choice: dict[str, Any]) -> dict[str, Any]:
        return choice | {"joints": event.joints}

    # --- the dance -------------------------------------------------------------------------------

    def _new_dance(
        self, request: gr.Request, choice: dict[str, Any], upload: dict[str, Any] | None
    ) -> Iterator[tuple[Any, ...]]:
        if upload:
            yield from self._see_dance(request, choice, Path(upload["path"]))

    def _demo_dance(self, request: gr.Request, choice: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        yield from self._see_dance(request, choice, DEMOS / "dance.mp4")

    def _library_dance(
        self, request: gr.Request, event: gr.EventData, choice: dict[str, Any]
    ) -> Iterator[tuple[Any, ...]]:
        yield from self._see_dance(request, choice, self._service.library(str(event.name)))

    def _see_dance(
        self, request: gr.Request, choice: dict[str, Any], path: Path
    ) -> Iterator[tuple[Any, ...]]:
        """Length, people and thumbnails of a new dance."""
        keep = gr.skip()
        yield keep, keep, keep, keep, note("Looking at the dance…", "busy"), keep
        try:
            job = self._service.look_dance(client_of(request), path)
            self._finish(job)
        except InputError as error:
            yield keep, gr.update(value=None), keep, keep, note(str(error), "error"), keep
            return
        answer = job.answer
        most = self._service.store.limits.max_seconds
        areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in answer["people"]]
        end = min(answer["seconds"], most)
        view = {
            **answer, "title": job.title, "start": 0.0, "end": round(end, 2), "person": "largest",
            "largest": areas.index(max(areas)) if areas else None, "max_seconds": most,
            "still": f"jobs/{job.id}/files/still.jpg",
            "strip": None if "skeleton" in answer else f"jobs/{job.id}/files/strip.jpg",
        }  # fmt: skip
        choice = choice | {
            "dance": job.id, "start": 0.0, "person": "largest",
            "end": None if end >= answer["seconds"] else end,
        }  # fmt: skip
        hidden = gr.update(visible=False)
        yield choice, hidden, hidden, gr.update(open=False), "", view

    def _remove_dance(self, choice: dict[str, Any]) -> tuple[Any, ...]:
        shown = gr.update(visible=True)
        emptied = gr.update(value=None, visible=True)
        return choice | {"dance": ""}, emptied, shown, gr.update(open=True), "", {}

    def _choose_dancer(
        self, event: gr.EventData, choice: dict[str, Any], view: dict[str, Any]
    ) -> tuple[Any, Any]:
        return choice | {"person": event.person}, view | {"person": event.person}

    def _trim(self, event: gr.EventData, choice: dict[str, Any]) -> dict[str, Any]:
        seconds = self._service.store.get(choice["dance"]).answer["seconds"]
        end = None if event.end >= seconds - 0.051 else round(event.end, 2)
        return choice | {"start": round(event.start, 2), "end": end}

    # --- preview and render ----------------------------------------------------------------------

    def _preview(
        self, request: gr.Request, choice: dict[str, Any], smooth: float, travel: float,
        scale: float, right: float, down: float,
    ) -> Iterator[str]:  # fmt: skip
        """The skeleton over the photo."""
        if not (choice["photo"] and choice["dance"]):
            yield empty(EMPTY_PREVIEW)
            return
        store = self._service.store
        settings = _scene(choice) | {
            "smooth": smooth, "travel": travel, "scale": scale, "shift": (right, down),
        }  # fmt: skip
        try:
            job = self._service.preview(
                client_of(request), store.get(choice["photo"]), store.get(choice["dance"]),
                settings,
            )  # fmt: skip
            while not job.has_ended:
                words = {"track": "Tracking the dancer", "preview": "Drawing the skeleton"}
                share = f" {100 * job.done // job.total} %" if job.total else ""
                yield note(f"{words.get(job.stage, 'Getting ready')}…{share}", "busy")
                store.wait(job, 0.5)
            self._finish(job)
        except InputError as error:
            yield note(str(error), "error")
            return
        yield (
            f'<video src="jobs/{job.id}/files/preview.mp4" autoplay loop muted playsinline '
            f'poster="jobs/{choice["photo"]}/files/photo.jpg" '
            'aria-label="The skeleton that will dance, over the photo"></video>'
        )

    def _render(self, request: gr.Request, choice: dict[str, Any], *values: Any) -> tuple[Any, str]:
        """Queue the render; the job's component follows it."""
        store = self._service.store
        try:
            if not (choice["photo"] and choice["dance"]):
                raise wrong_setting("Give a photo and a dance first.")
            settings, picture = read_controls(values)
            job = self._service.animate(
                client_of(request), Path(store.get(choice["photo"]).arguments["photo"]),
                Path(store.get(choice["dance"]).arguments["dance"]), settings | _scene(choice),
                picture=picture,
            )  # fmt: skip
        except InputError as error:
            return gr.skip(), note(str(error), "error")
        return job.id, ""

    def _same_again(self, upload: dict[str, Any]) -> list[Any]:
        try:
            settings = read_sidecar(Path(upload["path"]))
        except InputError as error:
            return [gr.skip()] * len(self.controls.all()) + [note(str(error), "error")]
        return [*write_controls(settings), note("Settings are taken over.")]

    def _finish(self, job: Job) -> None:
        """Wait for a look.

        Raises:
            InputError: it failed; the message is the task's.
        """
        self._service.store.wait(job, LOOK_SECONDS)
        if job.state != "done":
            raise InputError(job.error or "this took too long; try again")


def _scene(choice: dict[str, Any]) -> dict[str, Any]:
    """What of the settings is chosen in the pictures, not in controls."""
    return {k: choice[k] for k in ("start", "end", "person", "source_person", "joints")}


def _library() -> list[dict[str, Any]]:
    """The shipped dances for the component."""
    from motion_transfer.pose.track import PoseTrack

    return [
        {"name": name, "skeleton": skeleton(PoseTrack.load(path))}
        for name, path in list_dances().items()
    ]
