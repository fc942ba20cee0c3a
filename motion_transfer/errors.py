"""The errors that a user can cause: each message says name, rule, what was got and the remedy."""


class InputError(ValueError):
    """Something the user gave cannot be used; the command line prints it in one line, exits 2."""


class MediaError(InputError):
    """A photo or video cannot be read or written."""


class NoPersonError(InputError):
    """No usable person was found in the photo or the driving video."""


class WeightsError(InputError):
    """A model file is missing, damaged or cannot be fetched."""


class Cancelled(InputError):
    """The caller's progress callback, or a signal, asked to stop."""
