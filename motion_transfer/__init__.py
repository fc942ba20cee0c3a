"""motion-transfer: a photographed person does the dance of a video."""

__version__ = "0.1.0"
