"""One server for the tests of this folder, and a browser where there is one."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from motion_transfer.web.limits import Limits
from motion_transfer.web.server import Running, ServeOptions, running

LIMITS = Limits(max_upload_mb=20, max_seconds=30, max_megapixels=30)
QUICK = {"matte": "fast", "background": "teal", "end": 0.3}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, networks: None) -> Iterator[Running]:
    """A server at a free port."""
    options = ServeOptions(port=0, folder=tmp_path_factory.mktemp("server"), limits=LIMITS)
    with running(options) as started:
        yield started


@pytest.fixture(scope="session")
def client(server: Running) -> Iterator[httpx.Client]:
    """Plain HTTP to the server."""
    with httpx.Client(base_url=server.address, timeout=60) as made:
        yield made


@pytest.fixture(scope="session")
def send(person: Path, dance: Path) -> Callable[..., httpx.Response]:
    """Queue a render: send(client, settings, photo=..., dance=...)."""

    def post(client: httpx.Client, settings: dict | None = None, **files) -> httpx.Response:
        parts = {}
        for name, path in ({"photo": person, "dance": dance} | files).items():
            parts[name] = (path.name, path.read_bytes())
        data = {"settings": json.dumps(QUICK if settings is None else settings)}
        return client.post("/jobs", files=parts, data=data)

    return post


@pytest.fixture(scope="session")
def finish() -> Callable[..., dict]:
    """Wait until a job has ended."""

    def wait(
        client: httpx.Client, job_id: str, until: Callable[[dict], bool] | None = None
    ) -> dict:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            job = client.get(f"/jobs/{job_id}").json()
            if job["state"] in ("done", "failed", "cancelled") or (until and until(job)):
                return job
            time.sleep(0.05)
        raise AssertionError(f"not finished: {job}")

    return wait


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, headless, with a camera that shows a test picture."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("no chromium here; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=executable,
            args=["--no-sandbox", "--use-fake-device-for-media-stream",
                  "--use-fake-ui-for-media-stream"],
        )  # fmt: skip
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, server: Running) -> Iterator[Callable[..., Any]]:
    """Open the app: open_page(path, **context options); fails on errors in its console.

    `MOTION_TRANSFER_SCREENSHOTS`, a folder, gets a picture of every page when its test ends.
    """
    pages, errors, foreign = [], [], []

    def make(path: str = "", **options: Any) -> Any:
        context = chromium.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.on("console", lambda m: errors.append(m.text) if is_ours(m) else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda r: foreign.append(r.url) if is_foreign(r.url) else None)
        page.goto(server.address + path)
        page.wait_for_selector("#render")
        pages.append(page)
        return page

    def is_ours(message: Any) -> bool:
        # Gradio's own script says so when a page is left while an answer is under way
        left = ("BodyStreamBuffer was aborted", "errored out")
        return message.type == "error" and not any(words in message.text for words in left)

    def is_foreign(url: str) -> bool:
        return not url.startswith((server.address, "data:", "blob:"))

    yield make
    if folder := os.environ.get("MOTION_TRANSFER_SCREENSHOTS"):
        test = os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].partition(" ")[0]
        for number, page in enumerate(pages):
            page.screenshot(path=f"{folder}/{test}-{number}.png", full_page=True)
    for page in pages:
        page.context.close()
    assert errors == []
    assert foreign == []  # nothing is asked of another server
