"""A wish to stop, which a dump grants when a shard is finished."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def finishing_first() -> Iterator[Callable[[], str | None]]:
    """Take SIGINT and SIGTERM as a wish to stop: yields a function that says which came, or None.

    A second one ends the process at once.
    """
    asked: list[str] = []

    def note(number: int, frame: FrameType | None) -> None:
        if asked:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        asked.append(signal.Signals(number).name)
        message = f"\n{asked[0]}: stopping after the shard at hand (once more: at once)\n"
        os.write(2, message.encode())  # print may be what it interrupts

    earlier = {}
    with contextlib.suppress(ValueError):  # not the main thread: whoever runs us handles signals
        for number in (signal.SIGINT, signal.SIGTERM):
            earlier[number] = signal.signal(number, note)
    try:
        yield lambda: asked[0] if asked else None
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
