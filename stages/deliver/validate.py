"""Whether a delivery is what its manifest says: every file, every sample, in one pass over the bytes."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from curation.storage.hashing import HashingReader
from curation.storage.store import Store
from schemas.manifest import MANIFEST_PATH, DeliveryManifest, ShardRecord
from schemas.records import FileRecord
from stages.deliver.samples import Member, json_documents
from stages.deliver.texts import chosen_texts

_SHARD_NAME = re.compile(r"\d{6,}\.(tar|parquet)")
_TEXT_COLUMNS = frozenset({"text", "caption", "captions"})
_MAGIC = {
    "jpg": re.compile(rb"\xff\xd8\xff"),
    "png": re.compile(rb"\x89PNG\r\n"),
    "webp": re.compile(rb"RIFF....WEBP", re.S),
}


def verify_shards(store: Store, threads: int = 1) -> list[str]:
    """Checks a delivery against its manifest; needs the memory of one Parquet file for each thread.

    Checked are: checksums and sizes of all files; that every shard but the last has exactly the stated number of
    samples; that a tar can be read and holds for every row of its Parquet file, in that order, an image of the stated
    format, the text that the manifest's rule chooses and the JSON of the row; that no key comes twice; and that no
    shard lies about that the manifest does not list.

    Args:
        store: Rooted at the delivery's folder.
        threads: Shards at a time.

    Returns:
        What is wrong, one line for each mistake, with the file. Empty: the delivery is whole.
    """
    try:
        manifest = DeliveryManifest.model_validate_json(store.read_bytes(MANIFEST_PATH))
    except FileNotFoundError:
        return [f"{MANIFEST_PATH}: there is none, so the delivery never finished"]
    except ValidationError as error:
        return [f"{MANIFEST_PATH}: not a manifest of this version: {error.errors()[0]['msg']}"]
    problems = [*_check_counts(manifest), *_check_strays(manifest, store)]
    for record in manifest.files:
        problems += _check_file(record, store)
    keys = []
    with ThreadPoolExecutor(threads, "verify") as pool:
        for held, found in pool.map(partial(_check_shard, manifest, store), manifest.shards):
            problems += found
            keys += [held] if held is not None else []
    if keys and pl.concat(keys).is_duplicated().any():
        problems.append("a key comes twice in the delivery")
    return problems


def _check_shard(manifest: DeliveryManifest, store: Store, shard: ShardRecord) -> tuple[pl.Series | None, list[str]]:
    """The keys of a shard, where its Parquet file is whole, and what is wrong with it."""
    table, problems = _read_rows(shard, store)
    if table is None:
        return None, [*problems, *_check_file(shard.tar, store)]
    return pl.Series(table["key"].to_pylist(), dtype=pl.String), _check_tar(shard, table, manifest, store)


def _check_counts(manifest: DeliveryManifest) -> Iterator[str]:
    for place, shard in enumerate(manifest.shards):
        last = place == len(manifest.shards) - 1
        if shard.shard != place or not 0 < shard.rows <= manifest.shard_rows:
            yield f"{MANIFEST_PATH}: shard {place} is listed as number {shard.shard} with {shard.rows} rows"
        elif not last and shard.rows != manifest.shard_rows:
            yield f"{shard.tar.path}: {shard.rows} rows where every shard but the last has {manifest.shard_rows}"
    rows = sum(shard.rows for shard in manifest.shards)
    if rows != manifest.rows:
        yield f"{MANIFEST_PATH}: says {manifest.rows} rows, but its shards have {rows}"


def _check_strays(manifest: DeliveryManifest, store: Store) -> Iterator[str]:
    listed = {record.path for shard in manifest.shards for record in (shard.tar, shard.parquet)}
    for name in store.list(""):
        if _SHARD_NAME.fullmatch(name) and name not in listed:
            yield f"{name}: looks like a shard, but the manifest does not list it"


def _check_file(record: FileRecord, store: Store) -> list[str]:
    try:
        with store.open_read(record.path) as file:
            found = HashingReader(file).record(record.path, record.rows)
    except FileNotFoundError:
        return [f"{record.path}: missing"]
    return _differences(record, found)


def _differences(stated: FileRecord, found: FileRecord) -> list[str]:
    if found.size_bytes != stated.size_bytes:
        return [f"{stated.path}: {found.size_bytes} bytes, not {stated.size_bytes}"]
    if found.sha256 != stated.sha256:
        return [f"{stated.path}: its SHA-256 is {found.sha256}, not {stated.sha256}"]
    return []


def _read_rows(shard: ShardRecord, store: Store) -> tuple[pa.Table | None, list[str]]:
    """The rows of a shard, without embeddings; none where its Parquet file is not as stated."""
    problems = _check_file(shard.parquet, store)
    if problems:
        return None, problems
    with store.open_read(shard.parquet.path) as file:
        parquet = pq.ParquetFile(file)
        names = [name for name in parquet.schema_arrow.names if not name.endswith("_embedding")]
        table = parquet.read(columns=names)
    if table.num_rows != shard.rows:
        return None, [f"{shard.parquet.path}: {table.num_rows} rows, not {shard.rows}"]
    return table, []


def _check_tar(shard: ShardRecord, table: pa.Table, manifest: DeliveryManifest, store: Store) -> list[str]:
    path = shard.tar.path
    try:
        with store.open_read(path) as file:
            hashed = HashingReader(file)
            problem = _first_wrong_member(hashed, table, manifest)
            # A broken tar is still read to its end, since the checksum says whether it broke on the way.
            problems = _differences(shard.tar, hashed.record(path, shard.rows))
    except FileNotFoundError:
        return [f"{path}: missing"]
    return problems + ([f"{path}: {problem}"] if problem else [])


def _first_wrong_member(file: HashingReader, table: pa.Table, manifest: DeliveryManifest) -> str | None:
    try:
        with tarfile.open(fileobj=file, mode="r|") as tar:
            members = _members(tar)
            for expected in _expected(table, manifest):
                for name, content in expected:
                    problem = _compare(name, content, next(members, None))
                    if problem:
                        return problem
            extra = next(members, None)
            return f"{extra[0]} is one file too many" if extra else None
    except (tarfile.TarError, EOFError) as error:
        return f"cannot be read as a tar: {error}"


def _members(tar: tarfile.TarFile) -> Iterator[Member]:
    for entry in tar:
        file = tar.extractfile(entry)
        yield entry.name, file.read() if file else b""


def _expected(table: pa.Table, manifest: DeliveryManifest) -> Iterator[list[tuple[str, bytes | None]]]:
    """Names and contents of the files of every sample; None where the content cannot be told from the row."""
    texts: list[str] | list[None] = [None] * table.num_rows
    if not _TEXT_COLUMNS.intersection(manifest.left_out):
        texts = chosen_texts(table, manifest.text)
    keys, formats = table["key"].to_pylist(), table["image_format"].to_pylist()
    for key, kind, text, document in zip(keys, formats, texts, json_documents(table), strict=True):
        content = None if text is None else text.encode()
        yield [(f"{key}.{kind}", None), (f"{key}.txt", content), (f"{key}.json", document)]


def _compare(name: str, content: bytes | None, found: Member | None) -> str | None:
    if found is None:
        return f"{name} is missing, the tar ends before it"
    if found[0] != name:
        return f"{found[0]} stands where {name} belongs"
    extension = name.rpartition(".")[2]
    if extension in _MAGIC and not _MAGIC[extension].match(found[1]):
        return f"{name} is no {extension} image"
    if content is not None and found[1] != content:
        return f"{name} differs from the row in the Parquet file"
    return None
