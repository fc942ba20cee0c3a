"""What the server accepts, and how it says no."""

from __future__ import annotations

import dataclasses
import math
from http import HTTPStatus

from motion_transfer.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What one server accepts.

    Args:
        max_upload_mb: of one file, MB.
        max_seconds: of the driven range of a dance, seconds.
        max_megapixels: of a photo.
        max_queue: jobs that wait or run, of everybody together.
        max_per_client: jobs that wait or run, of one client.
        max_minutes: after which a job is ended.
        keep_hours: after which a finished job and its files are deleted.
    """

    max_upload_mb: int = 200
    max_seconds: float = 180.0
    max_megapixels: int = 50
    max_queue: int = 100
    max_per_client: int = 20
    max_minutes: float = 60.0
    keep_hours: float = 24.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                option = field.name.replace("_", "-")
                raise InputError(f"--{option} must be larger than 0, got {value}")


class Refused(InputError):
    """The server does not take this; the HTTP status says in what way."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def too_large(message: str) -> Refused:
    """A file has too many bytes, pixels or seconds."""
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


def wrong_type(message: str) -> Refused:
    """A file is not what it should be."""
    return Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)


def wrong_setting(message: str) -> Refused:
    """A setting cannot be used."""
    return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, message)
