"""The command line of a stage: named options for its inputs and outputs, and one clear line for bad input."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

In = Annotated[Path, typer.Option(exists=True, help="read")]
Out = Annotated[Path, typer.Option(help="written")]
Name = Annotated[str, typer.Option(help="an entry of catalog.yaml")]
Device = Annotated[str, typer.Option(envvar="DRILLCORE_DEVICE", help="cpu, cuda ...; a GPU where there is one by default")]
Threads = Annotated[int, typer.Option(envvar="DRILLCORE_THREADS", min=0, help="CPU threads; 0: one for each physical core")]

EXPECTED = (ValueError, KeyError, ConnectionError, OverflowError)  # what the library raises for bad input
EXPECTED += (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)  # and what paths give


def device_of(name):
    """A torch device by name; the GPU where there is one, else the CPU, for "". ValueError when it cannot be used."""
    import torch

    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        why = str(error).split("\n")[0].rstrip(".")
        raise ValueError(f"device {name!r} cannot be used here ({why}): set DRILLCORE_DEVICE to cpu, or to a GPU that torch sees") from error
    return torch.device(name)


def run(main):
    """Run a stage's function. Bad input ends with its message on standard error and exit status 1, a wish to stop with 130; the
    traceback too is shown when DRILLCORE_TRACEBACK is set."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app()
    except InterruptedError as error:
        print(error, file=sys.stderr)
        sys.exit(130)
    except EXPECTED as error:
        if os.environ.get("DRILLCORE_TRACEBACK"):
            raise
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print("error:", " ".join(str(message).split()), file=sys.stderr)
        sys.exit(1)
