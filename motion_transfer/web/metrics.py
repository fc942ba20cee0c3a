"""What a server tells Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from motion_transfer.web.jobs import LANES, STATES, Job, State

SECONDS = (0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)  # upper bounds of the histogram


class Metrics:
    """Counters of one server, and the jobs that are there right now."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._ended = Counter(
            "motion_transfer_jobs_ended", "Jobs that ended.", ["kind", "state"],
            registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "motion_transfer_job_seconds", "Working time of jobs that were done.", ["kind"],
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self._refused = Counter(
            "motion_transfer_refused", "Requests that were refused.", ["status"],
            registry=self.registry,
        )  # fmt: skip

    def watch(self, count: Callable[[], dict[tuple[str, State], int]]) -> None:
        """Show jobs by kind and state, as `count` tells them at each scrape."""
        self.registry.register(_Jobs(count))

    def ended(self, job: Job) -> None:
        """Count a job that has ended."""
        self._ended.labels(job.kind, job.state).inc()
        if job.state == "done" and job.started is not None and job.ended is not None:
            self._seconds.labels(job.kind).observe(job.ended - job.started)

    def refused(self, status: HTTPStatus) -> None:
        """Count a request that was refused."""
        self._refused.labels(str(status.value)).inc()


class _Jobs(Collector):
    def __init__(self, count: Callable[[], dict[tuple[str, State], int]]) -> None:
        self._count = count

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        found = self._count()
        gauge = GaugeMetricFamily(
            "motion_transfer_jobs", "Jobs that are there.", labels=["kind", "state"]
        )
        for kind in LANES:
            for state in STATES:
                gauge.add_metric([kind, state], found.get((kind, state), 0))
        yield gauge
