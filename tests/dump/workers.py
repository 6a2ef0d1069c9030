"""What workers have made."""

import json

from tests.helpers import contents


def shards_of(folder):
    """{name: bytes} of the shards in a folder."""
    return {path.rsplit("/", 1)[1]: data for path, data in contents(folder).items() if path.endswith(".arrow")}


def agrees(folder, alone):
    return shards_of(folder / "out") == alone[0] and json.loads((folder / "out.json").read_text()) == alone[1]
