"""Which videos a model has seen, so that none of them is taken for a test later."""

import hashlib
from collections.abc import Sequence


def identify_content(sha256: str) -> str:
    """12 hexadecimal digits for the content of a video's file, which stay when it is renamed, moved or copied.

    Args:
        sha256: of what its features came from, as the store keeps it.
    """
    return hashlib.sha256(f"content|{sha256}".encode()).hexdigest()[:12]


def identify(path: str, facts: Sequence[float]) -> str:
    """12 hexadecimal digits for a video by its name, which stay when the file is encoded or extracted again.

    Args:
        path: as annotated.
        facts: width, height, frames and seconds, as one of its streams knows them. Beside the path they tell apart two
            data sets in which every file is called ``walk/1.mp4``.
    """
    text = f"{path}|{list(facts)}".encode(errors="surrogateescape")
    return hashlib.sha256(text).hexdigest()[:12]
