"""How an encoder is called in tables, pictures and metrics."""


def encoder_name(encoder: str, pooling: str | None, correction: str | None, similarity: str, joint: str = " ") -> str:
    """The encoder, its correction where there is one, and its similarity where that is not the cosine.

    An encoder without vectors (no pooling) is told apart by its measure: `overlap dice`.
    """
    words = [encoder]
    if correction not in (None, "none"):
        words.append(str(correction))
    if pooling is None or similarity != "cosine":
        words.append(similarity)
    return joint.join(words)
