"""The best of K on train, and how the choice varies with the train pairs."""

import numpy as np


def choices(train: np.ndarray, train_resampled: np.ndarray, defined: np.ndarray) -> tuple[int, np.ndarray]:
    """The best of K rows on train, and in each resample of it: train (K,), train_resampled (K, B) -> row, rows (B,).

    -1 where there is none. Rows that are undefined on train, or where they are to be reported (`defined`, (K,) bool),
    are no candidates; of equals the first is chosen.
    """
    candidates = np.isfinite(train) & defined
    usable = np.where(candidates[:, None] & np.isfinite(train_resampled), train_resampled, -np.inf)
    best = int(np.argmax(np.where(candidates, train, -np.inf))) if candidates.any() else -1
    return best, np.where(np.isfinite(usable).any(axis=0), usable.argmax(axis=0), -1)
