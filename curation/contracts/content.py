"""What a step's result depends on beside its settings: the content of files that they name."""

from __future__ import annotations

from hashlib import sha256

import fsspec

from curation.errors import RecipeError

_CHUNK_BYTES = 1 << 20


class DependsOnContent:
    """A step. Its fingerprint covers its settings, and whatever it tells here."""

    def content_digests(self) -> tuple[str, ...]:
        """Digests of the files that the results depend on, such as a list of words or an evaluation set.

        Asked on the driver, after `check` and before the start, and perhaps several times. The step's fingerprint
        contains them, so that a changed file is another measurement or decision, as a changed setting is.

        Raises:
            RecipeError: A file cannot be read.
        """
        return ()


def digest_of_file(path: str) -> str:
    """SHA-256 of a file's bytes, hexadecimal; any fsspec path.

    Raises:
        RecipeError: It cannot be read.
    """
    made = sha256()
    try:
        with fsspec.open(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                made.update(chunk)
    except (OSError, ValueError, ImportError) as error:
        raise RecipeError(f"{path}: cannot be read: {error}") from error
    return made.hexdigest()
