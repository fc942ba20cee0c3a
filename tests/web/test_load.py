"""Twenty clients and a hundred renders at once, on this machine."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from motion_transfer.web.limits import Limits
from motion_transfer.web.server import ServeOptions, running

CLIENTS, JOBS_EACH = 20, 5
SETTINGS = json.dumps({"matte": "fast", "background": "teal", "start": 1.0, "end": 1.1})


def memory_mb() -> float:
    """Of this process, the server's, and its workers."""
    here = psutil.Process()
    return sum(p.memory_info().rss for p in [here, *here.children(recursive=True)]) / 1e6


def post(client: httpx.Client, person: Path) -> httpx.Response:
    files = {"photo": (person.name, person.read_bytes())}
    return client.post("/jobs", files=files, data={"dance": "kick", "settings": SETTINGS})


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_jobs_of_twenty_clients(tmp_path: Path, person: Path) -> None:
    # bug: jobs are lost, one client starves the others, memory grows with every job
    names = [f"user{k}" for k in range(CLIENTS + 1)]
    (tmp_path / "users").write_text("".join(f"{name}:secret\n" for name in names))
    limits = Limits(max_queue=CLIENTS * JOBS_EACH, max_per_client=JOBS_EACH)
    options = ServeOptions(
        port=0, folder=tmp_path / "s", auth_file=tmp_path / "users", limits=limits
    )
    with running(options) as server:
        store = server.service.store

        def work(name: str) -> list[str]:
            with httpx.Client(
                base_url=server.address, auth=(name, "secret"), timeout=300
            ) as client:
                answers = [post(client, person) for _ in range(JOBS_EACH)]
                assert [a.status_code for a in answers] == [201] * JOBS_EACH
                return [a.json()["id"] for a in answers]

        with ThreadPoolExecutor(CLIENTS) as pool:
            ids = [i for made in pool.map(work, names[:CLIENTS]) for i in made]
        assert len(set(ids)) == CLIENTS * JOBS_EACH

        memory = []
        while not all(store.get(i).has_ended for i in ids):
            time.sleep(0.5)
            done = sum(store.get(i).has_ended for i in ids)
            memory.append((done, memory_mb()))
        jobs = [store.get(i) for i in ids]
        assert [job.state for job in jobs] == ["done"] * len(jobs), [j.error for j in jobs]
        for job in jobs:
            assert (job.out / "result.mp4").stat().st_size > 1000
        # each client's first render is over before anybody's last begins
        by_client: dict[str, list[float]] = {}
        for job in jobs:
            by_client.setdefault(job.client, []).append(job.started)
        firsts = max(min(starts) for starts in by_client.values())
        lasts = min(max(starts) for starts in by_client.values())
        assert firsts < lasts
        early = max(mb for done, mb in memory if done <= 40)
        late = max(mb for done, mb in memory if done >= 60)
        print(f"\nmemory: {early:.0f} MB in the first 40 jobs, {late:.0f} MB in the last 40")
        assert late < 1.15 * early
