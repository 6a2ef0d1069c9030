"""Bytes, counts and times as people say them, with as many digits as anyone needs."""


def size(count: float) -> str:
    """Bytes in words, with as many digits as anyone needs."""
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if count < 1000 or unit == "PB":
            return f"{count:.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def amount(count: float) -> str:
    """A large number as people say it, with two or three digits."""
    for limit, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if count >= limit:
            return f"{count / limit:.{0 if count >= 10 * limit else 1}f} {word}"
    return f"{count:,.0f}"


def in_words(count: float) -> str:
    """Minutes as people say them."""
    if count < 1:
        return "less than a minute"
    if count < 1.5:
        return "about a minute"
    if count < 90:
        return f"about {count:.0f} minutes"
    return f"about {count / 60:.0f} hours" if count < 48 * 60 else f"about {count / 1440:,.0f} days"
