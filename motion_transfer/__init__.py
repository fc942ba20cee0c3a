"""motion-transfer: a photographed person does the dance of a video."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["transfer"]


def __getattr__(name: str) -> Any:
    """`motion_transfer.transfer`, imported when it is first used."""
    if name != "transfer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from motion_transfer.pipeline import transfer

    return transfer
