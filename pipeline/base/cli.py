"""The command line of a stage: named options for its inputs and outputs, and one clear line for bad input."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.errors import InputError
from pipeline.base.stopping import STOPPED
from pipeline.base.turns import taking_turns

In = Annotated[Path, typer.Option(help="read")]  # its reader says which stage makes it where it is not there
Out = Annotated[Path, typer.Option(help="written")]
Name = Annotated[str, typer.Option(help="an entry of catalog.yaml")]
Device = Annotated[
    str, typer.Option(envvar="DRILLCORE_DEVICE", help="cpu, cuda:1, auto ...; a GPU where there is one by default")
]
Threads = Annotated[
    int, typer.Option(envvar="DRILLCORE_THREADS", min=0, help="CPU threads; 0: as many as this machine has for us")
]

EPILOG = "With --debug, or with DRILLCORE_DEBUG set, bad input shows its traceback too."


def run(main: Callable[..., None]) -> None:
    """Run a stage's function with the options on the command line; how it ends says `ending`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(epilog=EPILOG)(stoppable(main))
    ending(app)


def ending(app: Callable[[], None]) -> None:
    """Call a program, without --debug among its arguments.

    Bad input (InputError, or a file that the system refuses) ends with one line on standard error and exit status 1, a
    wish to stop with 130. Anything else is a bug and shows its traceback, as does bad input with --debug.
    """
    debug = "--debug" in sys.argv or bool(os.environ.get("DRILLCORE_DEBUG"))
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        app()
    except InterruptedError as error:
        print(printable(str(error)) or STOPPED, file=sys.stderr)
        sys.exit(130)
    except (InputError, OSError) as error:
        if debug or (isinstance(error, OSError) and error.errno is None):  # the system gives its refusals numbers
            raise
        print("error:", printable(str(error)), file=sys.stderr)
        sys.exit(1)


def stoppable(main: Callable[..., None]) -> Callable[..., None]:
    """The function with a word for Ctrl-C, which typer would end without one."""

    @functools.wraps(main)
    def stopping(*arguments: object, **options: object) -> None:
        try:
            with taking_turns(os.environ.get("DVC_STAGE")):
                main(*arguments, **options)
        except KeyboardInterrupt:
            raise InterruptedError(STOPPED) from None

    return stopping


def printable(text: str) -> str:
    """Text as one line that cannot steer a terminal: white space becomes a space, other control characters are
    escaped.
    """
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
