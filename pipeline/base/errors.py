"""The error for bad input, and the near misses that it names."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

ALIKE = 0.6
"""similarity of two names (difflib's ratio) from which one may have been meant for the other"""


class InputError(ValueError):
    """Something that a person gave cannot be used: a setting, a catalogue entry, a data file, weights, a device.

    Its message is one line with the value, what was expected, and the remedy. A stage prints it and exits with status
    1; every other exception is a mistake of ours and shows its traceback. It is a ValueError, so that users of the
    library can catch it without importing this module.
    """


def did_you_mean(value: object, names: Iterable[str]) -> str:
    """The end of a message about an unknown name: its near misses where there are any, and all names."""
    options = [str(name) for name in names]
    alike = {name: difflib.SequenceMatcher(None, str(value).lower(), name.lower()).ratio() for name in options}
    nearest = max(alike.values(), default=0.0)
    near = [name for name in options if alike[name] >= max(ALIKE, nearest - 0.05) or str(value) in name.split()][:3]
    listed = f"expected one of {', '.join(options)}" if options else "there are none to choose from"
    return f"did you mean {' or '.join(near)}? {listed[0].upper()}{listed[1:]}" if near else listed


def one_of(value: object, names: Iterable[str], what: str) -> str:
    """The value, if it is one of the names. Raises InputError that says `what` it is and names the near misses."""
    options = list(names)
    if not isinstance(value, str) or value not in options:
        raise InputError(f"{what} is {value!r}: {did_you_mean(value, options)}")
    return value


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn the absence of a package into the line that installs our extra that brings it.

    With our constraints: other versions of what is there already would change the key of every dump.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed: pip install -c constraints.txt -e '.[{extra}]'") from error
