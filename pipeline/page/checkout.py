"""Which commit of the project is checked out."""

import subprocess
from pathlib import Path

LOCKS = (":(exclude)dvc.lock", ":(exclude)*/dvc.lock")
"""what a run writes itself"""


def commit(folder: Path = Path(".")) -> str:
    """`1a2b3c4d5e6f`, with `, and changes that are not committed` where there are some; nothing without git."""
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".", *LOCKS)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{head}, and changes that are not committed" if changed else head


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
