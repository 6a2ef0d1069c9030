"""Names on the hub, such as `main`, as commits: each stands for one commit, however often its owner moves it.

A branch or a tag of the hub can mean other files tomorrow, while DVC sees the same entry. So the commit that a name
stood for at its first use is noted in RECORD, and later runs in this folder take that one: a model whose token ids were
made yesterday gets yesterday's weights. Where the name has moved since, they say so.

RECORD belongs to one folder. It is neither a result nor a setting, so git and DVC ignore it, and it is in no key. A
fresh clone, and the copy in which `dvc exp run --temp` runs, begin with none, and note what the name stands for then.
What travels with results is in them: info.json of pairs and of encoders, the tokens and the manifest of a dump say of
which commit they are, and the stage dump refuses token ids of another commit than its weights. The place for good is
`revision` in catalog.yaml: git keeps it, and DVC makes anew what depends on it.
"""

import fcntl
import re
import sys
from pathlib import Path

from pipeline.base.errors import InputError, first_line
from pipeline.base.files import write_json
from pipeline.base.settings import Text, read_yaml

RECORD = Path(".drillcore/revisions.json")
"""{"model owner/name@main": commit}; to forget one, remove its line"""
MAIN = "main"
"""what the hub takes where no revision is named"""
COMMIT = re.compile("[0-9a-f]{40}")


def commit_of(repo: str, revision: Text | None, what: str, kind: str = "model") -> str:
    """The commit of a hub repository (kind: model or dataset) that a revision stands for here: itself where it is one,
    else the noted one, else what the hub says, which is noted.

    Says on standard error what it has noted, and where the hub says something else by now. Raises InputError where
    nothing is noted and the hub cannot be asked.
    """
    name = name_of(revision)
    if COMMIT.fullmatch(name):
        return name
    key = f"{kind} {repo}@{name}"
    noted = _noted().get(key)
    if noted is not None and not COMMIT.fullmatch(str(noted)):
        raise InputError(f"{RECORD} has {noted!r} for {key}, expected a commit of 40 digits: remove that line")
    try:
        current = _asked(repo, name, kind)
    except ConnectionError as error:
        if noted is None:
            raise InputError(
                f"{what} needs {repo}@{name} from the Hugging Face hub, which did not answer ({error}). Check the name "
                "and the network (HF_HUB_OFFLINE must not be 1), or download it elsewhere and give it as `path`"
            ) from error
        return noted
    if noted is None:
        noted = _note(key, current)
        print(
            f"{what}: {repo}@{name} is commit {noted}, and stays so in this folder. To pin it for everyone, put this "
            f"beside `hub` in catalog.yaml: revision: {noted}",
            file=sys.stderr,
        )
    if noted != current:
        print(
            f"WARNING: {what}: {repo}@{name} was commit {noted} when it was first used here and is {current} now. This "
            f"run stays with the first. Put `revision: {noted}` beside `hub` in catalog.yaml to keep it, or `revision: "
            f"{current}` to change to the new one",
            file=sys.stderr,
        )
    return noted


def source(repo: str, revision: Text | None, commit: str) -> dict[str, str]:
    """Where files of the hub came from, for the results that are made of them."""
    return {"hub": repo, "revision": name_of(revision), "commit": commit}


def name_of(revision: Text | None) -> str:
    """What a revision is called on the hub."""
    return MAIN if revision is None else str(revision)


def _asked(repo: str, name: str, kind: str) -> str:
    """The commit that a name stands for by now; without a network, when it was last asked for on this machine.

    Raises ConnectionError where there is no answer, InputError where the repository's name cannot be one.
    """
    from huggingface_hub import HfApi, is_offline_mode
    from huggingface_hub.errors import HFValidationError, RevisionResolutionError

    try:
        return (
            HfApi().resolve_revision(repo, revision=name, repo_type=kind, local_files_only=is_offline_mode()).resolved
        )
    except HFValidationError as error:
        raise InputError(f"{repo!r} is no repository of the hub ({first_line(error)}): expected owner/name") from error
    except (RevisionResolutionError, OSError) as error:  # what the hub refuses is an OSError
        raise ConnectionError(first_line(error)) from error


def _noted() -> dict[str, str]:
    return read_yaml(RECORD) if RECORD.exists() else {}  # JSON is YAML, and a damaged file is one clear line


def _note(key: str, commit: str) -> str:
    """Note the commit of a name, unless another process was first -> the one that is noted."""
    RECORD.parent.mkdir(exist_ok=True)
    with RECORD.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        noted = {key: commit} | _noted()
        write_json(RECORD, dict(sorted(noted.items())))
    return noted[key]
