"""Carries out takedowns: notes what is never to come back, then takes it out of everything that a folder holds."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from curation.contracts.source import Source
from curation.errors import CurationError, RecipeError
from curation.ledger.open_run import ledger_fingerprints, scan_ledger
from curation.removals.erase_pool import erase_pool
from curation.removals.erase_results import erase_results, shards_to_go
from curation.removals.hashes import Salted, url_form, url_host
from curation.removals.lists import Kind
from curation.removals.matcher import Matcher
from curation.removals.records import Removals
from curation.removals.search import source_keys, stored_keys
from curation.storage.layout import REMEMBERED, RUN_RECORD, SOURCE_WORKSPACE, WORKSPACE, UnitsLayout
from curation.storage.store import Store
from curation.storage.stored_records import read_record
from schemas.records import Erased, Removal, RemovalList, RunRecord

_SALT_BYTES = 16


@dataclass(frozen=True)
class Takedown:
    """What is to be removed.

    Attributes:
        lists: The records of the lists.
        entries: What they hold, by kind.
    """

    lists: tuple[RemovalList, ...]
    entries: Mapping[Kind, Sequence[str]]
    reason: str | None = None


@dataclass
class TakedownResult:
    """What became of a takedown.

    Attributes:
        removal: The record; None where all of it had been removed before.
        erased: What was done, of each removal that was carried out.
        source_rows: Rows of the source that it means, which is not touched; None where it cannot be read.
        copies: Rows of the latest ledger that are copies of removed ones, and not removed themselves.
    """

    removal: Removal | None = None
    erased: list[Erased] = field(default_factory=list)
    source_rows: int | None = None
    copies: list[str] = field(default_factory=list)


def note_removal(
    store: Store, record: RunRecord, source: Source, takedown: Takedown, *, with_copies: bool = False, idle: bool = True
) -> TakedownResult:
    """Notes what is to be removed, unless all of it was removed before.

    Args:
        record: The folder's latest run.
        source: Of that run.
        with_copies: Remove, too, what a deduplication took for copies.
        idle: Nobody else is writing to the folder.

    Raises:
        RecipeError: URLs or domains are given, and neither the source nor a ledger can be read to find their rows; or
            there is something to remove, and the folder is not idle.
    """
    while True:
        removals = Removals(store)
        asked = _hashed(removals.known, record, takedown)
        keys, source_rows = _find(store, source, asked)
        known = {name: {value for one in removals.known for value in getattr(one, name)} for name in _NOTED}
        earlier = [set(one.copies) for one in removals.known if keys & set(one.keys)]
        copies = _copies(store, record, keys).union(*earlier) - known["keys"]
        if with_copies:
            keys, copies = keys | copies, set()
        result = TakedownResult(source_rows=source_rows, copies=sorted(copies))
        new = {name: tuple(value for value in getattr(asked, name) if value not in known[name]) for name in _NOTED}
        new["keys"] = tuple(sorted(keys - known["keys"]))
        if not any(new.values()):
            return result
        _require_idle(store, idle=idle)
        result.removal = removals.put(asked.model_copy(update={**new, "copies": tuple(sorted(copies))}))
        if result.removal is not None:
            return result


def note_redirected(store: Store, record: RunRecord, *, idle: bool = True) -> Removal | None:
    """Notes rows that came back: what holds them says that a redirect led them to what was removed before.

    Args:
        record: The folder's latest run.
        idle: Nobody else is writing to the folder.

    Returns:
        The record that names their keys, None where there are none.

    Raises:
        RecipeError: There are some, and the folder is not idle.
    """
    while True:
        removals = Removals(store)
        matcher = Matcher(removals.known)
        found = stored_keys(store, matcher) if matcher.reads_urls else set()
        keys = found.difference(*(one.keys for one in removals.known))
        if not keys:
            return None
        _require_idle(store, idle=idle)
        noted = removals.put(
            Removal(
                number=0,
                time=_now(),
                reason="redirected to what was removed",
                lists=(),
                salt=removals.known[0].salt,
                keys=tuple(sorted(keys)),
                had_version=record.ledger is not None,
            )
        )
        if noted is not None:
            return noted


def _require_idle(store: Store, *, idle: bool) -> None:
    if not idle:
        raise RecipeError(
            f"{store.url}: a run is going on here, by its record; wait for it, or stop it. If it died, say "
            "--run-has-ended"
        )


_NOTED = ("keys", "urls", "domains")


def _hashed(known: Sequence[Removal], record: RunRecord, takedown: Takedown) -> Removal:
    salt = known[0].salt if known else secrets.token_hex(_SALT_BYTES)
    salted = Salted(salt)
    urls = takedown.entries.get("urls", ())
    return Removal(
        number=0,
        time=_now(),
        reason=takedown.reason,
        lists=takedown.lists,
        salt=salt,
        keys=tuple(takedown.entries.get("keys", ())),
        urls=_distinct(salted.hash(url_form(url)) for url in urls),
        hosts=_distinct(salted.hash(url_host(url)) for url in urls),
        domains=_distinct(salted.hash(domain) for domain in takedown.entries.get("domains", ())),
        had_version=record.ledger is not None,
    )


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def _find(store: Store, source: Source, asked: Removal) -> tuple[set[str], int | None]:
    """The keys that a removal means, and how many rows of the source have them."""
    matcher = Matcher([asked.model_copy(update={"number": 1})])
    keys = set(asked.keys)
    if matcher.reads_urls:
        keys |= stored_keys(store, matcher)
    try:
        # By the keys that were found elsewhere, too, such as those of URLs that lead to a removed one.
        again = Matcher([asked.model_copy(update={"number": 1, "keys": tuple(keys)})])
        found, rows = source_keys(store, source, again)
        return keys | found, rows
    except CurationError as error:
        if matcher.reads_urls and not ledger_fingerprints(store):
            raise RecipeError(
                f"{store.url}: rows can be found by URL or domain in the source or in a ledger; there is no ledger, "
                f"and {error}. Give their keys with --keys, or make the source readable"
            ) from error
        return keys, None


def _copies(store: Store, record: RunRecord, keys: set[str]) -> set[str]:
    """Keys of rows that a deduplication took for copies of rows of the given keys, or the other way round."""
    if record.ledger is None:
        return set()
    ledger = scan_ledger(store, record.ledger)
    if "duplicate_group" not in ledger.collect_schema().names():
        return set()
    groups = ledger.select("key", "duplicate_group").drop_nulls()
    removed = pl.col("key").is_in(list(keys))
    meant = groups.filter(removed).select("duplicate_group").unique()
    copies = groups.filter(~removed).join(meant, on="duplicate_group", how="semi")
    return set(copies.select("key").collect(engine="streaming")["key"].to_list())


def carry_out(store: Store) -> list[Erased]:
    """Takes the rows of all removals that are not finished out of everything in the folder.

    Broken off anywhere, it can be called again. Nobody else may be writing to the folder.
    """
    removals = Removals(store)
    done = []
    for removal in removals.unfinished:
        keys = pl.Series("key", removal.keys, pl.String)
        _forget_shards(store, keys)
        results = erase_results(store, keys, removal.number)
        pool = erase_pool(store, keys, removal.number)
        store.delete_folder(SOURCE_WORKSPACE)
        # A decision that was killed has left hashes of URLs and images there.
        store.delete_folder(WORKSPACE)
        # Hashes of pictures, of which it cannot be told whose they are.
        store.delete_folder(REMEMBERED)
        store.delete_unfinished()
        erased = Erased(
            number=removal.number,
            time=_now(),
            pool_files=pool.files,
            pool_rows=pool.rows,
            ledger_rows=results.ledger_rows,
            decisions=results.decisions,
            shards=tuple(results.shards),
        )
        removals.end(erased)
        done.append(erased)
    return done


def _forget_shards(store: Store, keys: pl.Series) -> None:
    """Before shards are deleted, the folder's record must no longer name them."""
    record = read_record(store, RUN_RECORD, RunRecord)
    going = {UnitsLayout("shards", fingerprint).folder for fingerprint in shards_to_go(store, keys)}
    if record.shards in going:
        store.write_bytes(RUN_RECORD, record.model_copy(update={"shards": None}).to_bytes())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
