"""The versions of a folder: each recipe that was run there has a ledger of its own, which lies beside the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from curation.ledger.open_run import ledger_fingerprints, open_run, scan_ledger
from curation.recipe.yaml_document import parse_yaml
from curation.storage.layout import UnitsLayout, version_recipe
from curation.storage.store import Store
from schemas.outcomes import Outcome

_LEDGER = "ledger"
_SHARDS = "shards"


@dataclass(frozen=True, slots=True)
class Version:
    """One ledger of a folder.

    Attributes:
        written: When it was finished for the first time.
        shards: Its delivery, None where there is none (any more).
        changes: Settings in which its recipe differs from that of the version before, as `path: old -> new`; None where
            one of the two recipes is not known.
    """

    fingerprint: str
    written: datetime
    rows: int
    kept: int
    shards: str | None
    is_latest: bool
    changes: tuple[str, ...] | None = None


def list_versions(folder: str) -> list[Version]:
    """The versions of a folder, the oldest first.

    Raises:
        RecipeError: There is no run.
    """
    store, record = open_run(folder)
    found = []
    for fingerprint in ledger_fingerprints(store):
        ledger = scan_ledger(store, UnitsLayout(_LEDGER, fingerprint).folder)
        is_kept = (pl.col("outcome") == Outcome.KEPT.value).sum().alias("kept")
        rows, kept = ledger.select(pl.len().alias("rows"), is_kept).collect(engine="streaming").row(0)
        shards = UnitsLayout(_SHARDS, fingerprint).folder
        found.append(
            Version(
                fingerprint=fingerprint,
                written=_written(store, fingerprint),
                rows=rows,
                kept=kept,
                shards=shards if store.list(shards) else None,
                is_latest=record.ledger == UnitsLayout(_LEDGER, fingerprint).folder,
            )
        )
    found.sort(key=lambda version: (version.written, version.fingerprint))
    return _with_changes(store, found)


def _written(store: Store, fingerprint: str) -> datetime:
    try:
        # Commits of ledgers are written again by a removal.
        return store.modified(version_recipe(fingerprint))
    except FileNotFoundError:
        commits = UnitsLayout(_LEDGER, fingerprint).commits
        return store.modified(f"{commits}/{store.list(commits)[-1]}")


def _with_changes(store: Store, versions: list[Version]) -> list[Version]:
    documents = store.read_many([version_recipe(version.fingerprint) for version in versions])
    settings = [None if text is None else _flat(parse_yaml(text.decode(), "").values) for text in documents]
    told = []
    for place, version in enumerate(versions):
        before, now = (settings[place - 1] if place else None), settings[place]
        changes = None if before is None or now is None else tuple(_differences(before, now))
        told.append(replace(version, changes=changes))
    return told


def _flat(value: object, path: str = "") -> dict[str, object]:
    """Every setting by its path, as `--set` takes it. A step goes by its name."""
    entries: list[tuple[str, object]]
    if isinstance(value, dict) and value:
        entries = [(str(name), entry) for name, entry in value.items()]
    elif isinstance(value, list) and value:
        entries = [(_entry_name(entry, place), entry) for place, entry in enumerate(value)]
    else:
        return {path: value}
    flat: dict[str, object] = {}
    for name, entry in entries:
        flat.update(_flat(entry, name if path in ("", "steps") else f"{path}.{name}"))
    return flat


def _entry_name(entry: object, place: int) -> str:
    names = [entry.get(field) for field in ("name", "kind", "column")] if isinstance(entry, dict) else []
    return str(next(filter(None, names), place))


def _differences(before: dict[str, object], now: dict[str, object]) -> list[str]:
    texts = []
    for path in dict.fromkeys([*before, *now]):
        if path not in now:
            texts.append(f"{path}: {before[path]} -> none")
        elif path not in before:
            texts.append(f"{path}: none -> {now[path]}")
        elif before[path] != now[path]:
            texts.append(f"{path}: {before[path]} -> {now[path]}")
    return texts
