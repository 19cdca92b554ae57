"""Asks a store, before a run starts, whether it keeps the promise that commits stand on."""

from __future__ import annotations

import uuid

from curation.errors import AccessError, RecipeError, TransientError
from curation.storage.store import Store


def check_store(store: Store, *, single_writer: bool = False) -> None:
    """Puts a small file twice under one name, and removes it.

    Args:
        single_writer: The recipe vouches that nothing else writes to the folder, so that losing a race cannot happen.

    Raises:
        RecipeError: The folder cannot be written, or a second writer would replace what the first one committed.
    """
    path = f"probe-{uuid.uuid4().hex}"
    try:
        first = store.put_if_absent(path, b"first")
        second = store.put_if_absent(path, b"second")
        store.delete(path)
    except (OSError, TransientError) as error:
        raise RecipeError(f"{store.url}: cannot be written: {error}; name another folder with --out") from error
    except AccessError as error:
        raise AccessError(f"{store.url}: cannot be written: {error}") from error
    if (not first or second) and not single_writer:
        raise RecipeError(
            f"{store.url}: this store lets a second writer replace a file that is there (it ignores If-None-Match); "
            "use another store, or set `run.single_writer: true` if this run alone writes there"
        )
