"""The command line: each command is a function of the library, argument for argument."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
import typing
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from motion_transfer.errors import Cancelled, InputError

# As in the first-order-model family; tyro takes an underscore for a dash and so knows both ways.
ALIASES = {
    "source": ("-s", "--source-image"),
    "driving": ("-d", "--driving-video"),
    "output": ("-o", "--result-video"),
}
STAGES = {
    "photo": "Photo", "track": "Tracking", "render": "Rendering", "finish": "Joining, sound",
    "preview": "Preview", "evaluate": "Evaluating", "prepare": "Preparing",
}  # fmt: skip


class _Bars:
    """Progress bars with the time left, one for each stage."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console,
            disable=not console.is_terminal,  # a log file shows warnings and errors only
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(STAGES.get(stage, stage), total=total)
        self._bars.update(self._tasks[stage], completed=done, total=total)


def _command(function: Callable[..., Any], show: Callable[[Any], str]) -> Callable[..., None]:
    """A command with the function's own arguments, aliases, progress bars, and a last word."""
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("progress", "watch"):
            continue
        hint = hints[parameter.name]
        aliases = ALIASES.get(parameter.name)
        if Path in typing.get_args(hint):  # text: a Path would lose the slash that ends a folder
            text: Any = str | None if type(None) in typing.get_args(hint) else str
            hint = Annotated[text, tyro.conf.arg(metavar="PATH", aliases=aliases)]
        elif typing.get_origin(hint) is Sequence:  # the option is repeated
            several = tyro.conf.UseAppendAction[tuple[str, ...]]
            hint = Annotated[several, tyro.conf.arg(metavar="PATH")]
        parameters.append(parameter.replace(annotation=hint))

    @functools.wraps(function)
    def run(*args: Any, **named: Any) -> None:
        with _Bars(Console(stderr=True)) as bars:
            result = function(*args, **named, progress=bars)
        print(show(result))

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__  # type: ignore[attr-defined]
    return run


def _weights(
    action: Annotated[Literal["list", "fetch"], tyro.conf.Positional] = "list",
    *,
    group: Literal["transfer", "features", "faces"] = "transfer",
) -> None:
    """List the model files, or fetch those that are missing.

    Args:
        action: `list` shows name, size, licence, state, and what each is for; `fetch` gets what
            is missing.
        group: what to fetch: for `transfer`, the `features` networks of training and evaluation,
            or what knows `faces`, for evaluation.
    """
    from rich.table import Table

    from motion_transfer import weights

    if action == "fetch":
        for name, file in weights.MODEL_FILES.items():
            if file.group == group:
                weights.fetch(name)
    table = Table()
    for title in ("file", "MB", "licence", "state"):
        table.add_column(title, no_wrap=True)
    for status in weights.status():
        file = status.file
        table.add_row(file.name, f"{file.num_bytes / 1e6:.1f}", file.licence, status.state)
    Console().print(table)
    for status in weights.status() if action == "list" else ():
        print(f"{status.file.name}: {status.file.purpose}; from {status.file.origin}")
    print(f"kept in {weights.cache_dir()}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors of use end it with one line and exit status 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    try:
        _make_app().cli(
            prog="motion-transfer", args=None if arguments is None else list(arguments),
            description="One photo of a person and a video of a dance in; the person dancing out.",
            use_underscores=False,
        )  # fmt: skip
    except Cancelled as error:
        _fail(str(error), 130)
    except (InputError, OSError) as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail(
            "interrupted; no file was left half written, and 'transfer --resume' goes on from "
            "the last finished part",
            130,
        )


def _make_app() -> tyro.extras.SubcommandApp:
    from motion_transfer.evaluation.commands import evaluate, tally
    from motion_transfer.pipeline import transfer
    from motion_transfer.preview import preview, track
    from motion_transfer.synth import commands
    from motion_transfer.training.commands import export, train
    from motion_transfer.training.datasets.mvc import mvc_pairs
    from motion_transfer.training.datasets.prepare import prepare
    from motion_transfer.training.drawings import drawings
    from motion_transfer.web.server import serve

    app = tyro.extras.SubcommandApp()
    app.command(_command(transfer, lambda r: f"{r.output}  ({r.num_frames} frames)"))
    app.command(_command(preview, lambda r: f"{r.picture}\n{r.clip}\n{r.joints}"))
    app.command(_command(track, str))
    app.command(name="weights")(_weights)
    app.command(serve)
    synthetic = tyro.extras.SubcommandApp()
    for function in (
        commands.sheet, commands.shards, drawings, commands.bench, commands.pack,
    ):  # fmt: skip
        synthetic.command(function)
    app.command(synthetic, name="synth", help="Synthetic people: look at them, write, time.")
    datasets = tyro.extras.SubcommandApp()
    datasets.command(_command(prepare, str))
    datasets.command(mvc_pairs)
    app.command(datasets, name="dataset", help="The field's data sets and own videos, to train on.")
    app.command(train)
    app.command(export)
    app.command(_command(evaluate, str))
    app.command(tally)
    return app


def _fail(message: str, status: int) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
