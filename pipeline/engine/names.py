"""The names of `engine` in params.yaml."""

import importlib.util
import os

from pipeline.base.errors import InputError, one_of
from pipeline.engine import address

ENGINES = {"local": None, "ray": "ray"}
"""engine -> the extra of ours that it needs, which is also the package that it brings; None: none"""
VARIABLE = "DRILLCORE_ENGINE"
"""names the engine of this machine, whatever params.yaml says"""


def chosen(setting: str) -> str:
    """The engine of VARIABLE, else the setting. InputError for an unknown name, for one that is not installed, and
    where no cluster answers that RAY_ADDRESS names.
    """
    given = os.environ.get(VARIABLE)
    name = one_of(given or setting, ENGINES, VARIABLE if given else "engine")
    extra = ENGINES[name]
    if extra is not None and importlib.util.find_spec(extra) is None:
        raise InputError(
            f"engine is {name}, but {extra} is not installed: pip install -c constraints.txt -e '.[{extra}]'"
        )
    if name == "ray":
        address.check()
    return name
