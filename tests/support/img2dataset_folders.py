"""Folders as img2dataset 1.47 writes them, made by hand: the same files, columns, types, order and row groups."""

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = pa.schema(
    [
        ("similarity", pa.float64()),
        ("caption", pa.string()),
        ("url", pa.string()),
        ("key", pa.string()),
        ("status", pa.string()),
        ("error_message", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("original_width", pa.int32()),
        ("original_height", pa.int32()),
        ("exif", pa.string()),
        ("sha256", pa.string()),
    ]
)
ERRORS = {
    3: ("failed_to_download", "HTTP Error 404: Not Found"),
    5: ("failed_to_resize", "Image decoding error"),
    7: ("failed_to_resize", "image too small"),
}
"""What every tenth number fails with."""


def body_of(number: int) -> bytes:
    """Bytes that tell the image that they are of."""
    return b"\xff\xd8 image %d " % number + bytes([number % 256]) * (50 + 997 * number % 3000)


def row_of(number: int, shard: int) -> dict:
    status, error = ERRORS.get(number % 10, ("success", None))
    fine = status == "success"
    return {
        "similarity": number / 100,
        "caption": None if number == 1 else f"caption {number} ü",
        "url": f"http://host/{number}.jpg",
        "key": f"{shard:05d}{number:04d}",
        "status": status,
        "error_message": error,
        "width": 256 if fine else None,
        "height": 300 if fine else None,
        "original_width": 512 if fine else None,
        "original_height": 600 if fine else None,
        "exif": "{}" if fine else None,
        "sha256": "ab" * 32 if fine else None,
    }


def write_shard(folder: Path, shard: int, numbers: list[int], output_format: str) -> list[dict]:
    """Writes one shard and returns its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{shard:05d}"
    rows = [row_of(number, shard) for number in numbers]
    bodies = [
        body_of(number) if row["status"] == "success" else None for number, row in zip(numbers, rows, strict=True)
    ]
    table = pa.Table.from_pylist(rows, SCHEMA)
    if output_format == "parquet":
        table = table.append_column(pa.field("jpg", pa.binary()), pa.array(bodies, pa.binary()))
    pq.write_table(table, f"{stem}.parquet", row_group_size=100)
    Path(f"{stem}_stats.json").write_text(json.dumps({"count": len(rows)}))
    files: list[tuple[str, bytes]] = []
    for row, body in zip(rows, bodies, strict=True):
        if body is not None:
            files.append((f"{row['key']}.jpg", body))
            files.append((f"{row['key']}.txt", (row["caption"] or "").encode()))
            files.append((f"{row['key']}.json", json.dumps(row, indent=4).encode()))
    if output_format == "webdataset":
        # As webdataset's TarWriter does: times with fractions, and so a PAX header before every member.
        with tarfile.open(f"{stem}.tar", "w", format=tarfile.PAX_FORMAT) as tar:
            for name, content in files:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mtime, entry.uname = len(content), 1700000000.25, "bigdata"
                tar.addfile(entry, io.BytesIO(content))
    if output_format == "files":
        stem.mkdir()
        for name, content in files:
            (stem / name).write_bytes(content)
    return rows
