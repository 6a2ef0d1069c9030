"""Ctrl-C in one line, from the first moment on: it imports nothing that takes time."""

import sys
from types import TracebackType

STOPPED = "stopped: run it again to go on"


def stop_quietly() -> None:
    """Let Ctrl-C end this process with one line where nothing else catches it."""
    usual = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print(STOPPED, file=sys.stderr)
        else:
            usual(kind, error, traceback)

    sys.excepthook = hook
