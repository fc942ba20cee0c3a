"""Addresses beside the page: jobs, their files, health and metrics.

| address | answer |
| --- | --- |
| `POST /jobs` | queues a render: multipart `photo`, `dance`, maybe `picture`, `settings` (JSON) |
| `GET /jobs/ID` | state and progress |
| `POST /jobs/ID/cancel`, `/retry`, `/again?format=webm` | acts on it |
| `GET /jobs/ID/files/NAME` | one of its files; `?download=1` under a good name |
| `GET /jobs/ID/dance` | the driving video |
| `GET /batches/ID`, `GET /batches/ID/zip` | the jobs of a batch, their results |
| `POST /live/start`, `/live/KEY/step`, `/live/KEY/stop` | pictures of a webcam, and back |
| `GET /health`, `GET /metrics` | for monitoring |
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

import motion_transfer
from motion_transfer.errors import InputError
from motion_transfer.web.access import check_origin, client_of
from motion_transfer.web.jobs import Job, has_video, safe_name
from motion_transfer.web.limits import Refused, wrong_setting
from motion_transfer.web.service import Service
from motion_transfer.web.tasks import LIVE

Endpoint = Callable[[Request], Awaitable[Response]]
MEDIA_TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".mov": "video/quicktime",
    ".gif": "image/gif", ".jpg": "image/jpeg", ".png": "image/png", ".json": "application/json",
    ".npz": "application/octet-stream",
}  # fmt: skip
RETRY_SECONDS = "30"
UNUSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


def make_routes(service: Service) -> list[Route]:
    """The routes of one server."""

    def guarded(endpoint: Endpoint) -> Endpoint:
        """Refusals become JSON with their status."""

        async def answer(request: Request) -> Response:
            try:
                if request.method == "POST":
                    check_origin(request)
                return await endpoint(request)
            except InputError as error:
                status = error.status if isinstance(error, Refused) else UNUSABLE
                service.metrics.refused(status)
                busy = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
                headers = {"Retry-After": RETRY_SECONDS} if status in busy else None
                return JSONResponse({"error": str(error)}, status, headers=headers)

        return answer

    store = service.store

    async def health(request: Request) -> Response:
        del request
        count = store.count()
        return JSONResponse(
            {
                "status": "ok",
                "version": motion_transfer.__version__,
                "queued": sum(n for (_, state), n in count.items() if state == "queued"),
                "running": sum(n for (_, state), n in count.items() if state == "running"),
            }
        )

    async def metrics(request: Request) -> Response:
        del request
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def submit(request: Request) -> Response:
        async with request.form(max_files=3, max_fields=4) as form:
            with tempfile.TemporaryDirectory() as folder:
                files = {}
                for name in ("photo", "dance", "picture"):
                    part = form.get(name)
                    if isinstance(part, UploadFile):
                        files[name] = await _keep(part, Path(folder) / name)
                    elif name == "dance" and isinstance(part, str):
                        files[name] = service.library(part)
                settings = _read_json(str(form.get("settings", "{}")))
                job = await run_in_threadpool(
                    service.animate, client_of(request), files.get("photo"), files.get("dance"),
                    settings, picture=files.get("picture"),
                )  # fmt: skip
        return JSONResponse(store.describe(job), HTTPStatus.CREATED)

    async def look(request: Request) -> Response:
        return JSONResponse(store.describe(_job(request)))

    async def cancel(request: Request) -> Response:
        job = _job(request)
        await run_in_threadpool(store.cancel, job)
        await run_in_threadpool(store.wait, job, 5.0)
        return JSONResponse(store.describe(job))

    async def retry(request: Request) -> Response:
        job = _job(request)
        await run_in_threadpool(store.retry, job)
        return JSONResponse(store.describe(job))

    async def again(request: Request) -> Response:
        job = await run_in_threadpool(
            service.again, client_of(request), _job(request),
            request.query_params.get("format", "mp4"),
        )  # fmt: skip
        return JSONResponse(store.describe(job), HTTPStatus.CREATED)

    async def file(request: Request) -> Response:
        job = _job(request)
        path = store.path(job, request.path_params["name"])
        media_type = MEDIA_TYPES.get(path.suffix, "application/octet-stream")
        if path.name == LIVE:  # is replaced all the time: its size may have changed when it is sent
            return Response(await run_in_threadpool(path.read_bytes), media_type=media_type)
        if "download" in request.query_params:
            return FileResponse(path, media_type=media_type, filename=_download_name(job, path))
        return FileResponse(path, media_type=media_type)

    async def dance(request: Request) -> Response:
        job = _job(request)
        if not has_video(job):
            raise Refused(HTTPStatus.NOT_FOUND, "the dance is no video that a browser shows")
        path = Path(job.arguments["dance"])
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix])

    async def live_start(request: Request) -> Response:
        photo = store.get(request.query_params.get("photo", "")).arguments.get("photo")
        if photo is None:
            raise wrong_setting("photo: this job has none")
        session = await run_in_threadpool(
            service.live.start, Path(photo), request.query_params.get("background", "original")
        )
        return JSONResponse({"session": session}, HTTPStatus.CREATED)

    async def live_step(request: Request) -> Response:
        try:
            seconds = float(request.query_params.get("seconds", ""))
        except ValueError as error:
            raise wrong_setting("seconds must be a number") from error
        made = await run_in_threadpool(
            service.live.step, request.path_params["id"], await request.body(), seconds
        )
        headers = {"X-State": made["state"], "X-Seconds": f"{made['seconds']:.4f}"}
        return Response(made["picture"], media_type="image/jpeg", headers=headers)

    async def live_stop(request: Request) -> Response:
        await run_in_threadpool(service.live.stop, request.path_params["id"])
        return JSONResponse({})

    async def batch(request: Request) -> Response:
        jobs = store.batch(request.path_params["id"])
        return JSONResponse({"jobs": [store.describe(job) for job in jobs]})

    async def batch_zip(request: Request) -> Response:
        jobs = store.batch(request.path_params["id"])
        path = await run_in_threadpool(_zip, jobs)
        return FileResponse(
            path, media_type="application/zip", filename="motion-transfer.zip",
            background=BackgroundTask(path.unlink),
        )  # fmt: skip

    def _job(request: Request) -> Job:
        return store.get(request.path_params["id"])

    return [
        Route(path, guarded(endpoint), methods=[method])
        for method, path, endpoint in (
            ("GET", "/health", health),
            ("GET", "/metrics", metrics),
            ("POST", "/jobs", submit),
            ("GET", "/jobs/{id}", look),
            ("POST", "/jobs/{id}/cancel", cancel),
            ("POST", "/jobs/{id}/retry", retry),
            ("POST", "/jobs/{id}/again", again),
            ("GET", "/jobs/{id}/files/{name}", file),
            ("GET", "/jobs/{id}/dance", dance),
            ("POST", "/live/start", live_start),
            ("POST", "/live/{id}/step", live_step),
            ("POST", "/live/{id}/stop", live_stop),
            ("GET", "/batches/{id}", batch),
            ("GET", "/batches/{id}/zip", batch_zip),
        )
    ]


def _read_json(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise wrong_setting(f"settings: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise wrong_setting(f"settings must be an object, got {type(content).__name__}")
    return content


async def _keep(part: UploadFile, folder: Path) -> Path:
    """An uploaded file under its own name, made safe."""
    folder.mkdir()
    path = folder / safe_name(part.filename or "", folder.name)
    with path.open("wb") as file:
        while block := await part.read(1 << 20):
            file.write(block)
    return path


def _download_name(job: Job, path: Path) -> str:
    """`result.mp4.json` of a job titled `me--kick` becomes `me--kick.mp4.json`."""
    stem, dot, suffixes = path.name.partition(".")
    title = safe_name(f"{job.title}.x", "motion-transfer").removesuffix(".x")
    return f"{title if stem == 'result' else f'{title}-{stem}'}{dot}{suffixes}"


def _zip(jobs: list[Job]) -> Path:
    """Results and sidecars; numbered, as two photos may have the same name."""
    with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for number, job in enumerate(jobs, 1):
                for name in (job.answer.get("output"), job.answer.get("sidecar")):
                    if job.state == "done" and name:
                        path = job.out / name
                        archive.write(path, f"{number:03d}-{_download_name(job, path)}")
        return Path(file.name)
