"""One server for the tests of this folder, and a browser where there is one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from motion_transfer.web.limits import Limits
from motion_transfer.web.server import Running, running

LIMITS = Limits(max_upload_mb=20, max_seconds=30, max_megapixels=30)
QUICK = {"matte": "fast", "background": "teal", "end": 0.3}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, networks: None) -> Iterator[Running]:
    """A server at a free port."""
    with running(port=0, folder=tmp_path_factory.mktemp("server"), limits=LIMITS) as started:
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
