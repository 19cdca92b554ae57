"""What `jobs.bench.selection` measures, by DuckDB: run by a Python that has it and needs nothing of the project."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from array import array
from fractions import Fraction
from pathlib import Path

_REASON = """CASE WHEN width < 200 THEN 'min_width'
    WHEN NOT (width <= 3 * height AND height <= 3 * width) THEN 'shape'
    WHEN NOT COALESCE(text_language = 'en' AND text_words > 2 AND text_chars > 5, FALSE) THEN 'english'
    WHEN pdq_quality < 10 THEN 'min_pdq_quality' END"""


def main() -> int:
    """Writes row, key and reason of every row within 2 GB, and prints the cost."""
    import duckdb

    folder, quantile, fraction = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    out = folder / "duckdb.parquet"
    database = duckdb.connect(config={"memory_limit": "2GB", "temp_directory": str(folder / "duckdb-temp")})
    database.execute("SET preserve_insertion_order = false")
    started, cpu = time.perf_counter(), time.process_time()
    rows = f"SELECT *, {_REASON} AS early FROM read_parquet('{folder}/pool/*/data/*.parquet')"  # noqa: S608
    alive = f"SELECT image_bytes, clip_score FROM ({rows}) WHERE early IS NULL"  # noqa: S608
    count = database.execute(f"SELECT count(*) FROM ({alive})").fetchone()[0]  # noqa: S608
    # In the middle of the rank that is meant, whichever way a rank is rounded.
    place = (math.floor(Fraction(quantile) * count) + 0.5) / count
    (least,) = database.execute(
        f"SELECT quantile_disc(image_bytes, {place}) FROM ({alive})"  # noqa: S608
    ).fetchone()
    large = database.execute(f"SELECT count(*) FROM ({alive}) WHERE image_bytes >= {least}").fetchone()[0]  # noqa: S608
    room = math.ceil(Fraction(fraction) * large)
    database.execute(
        f"""COPY (
            WITH judged AS (SELECT row, key, clip_score,
                COALESCE(early, CASE WHEN image_bytes < {least} THEN 'bytes' END) AS reason FROM ({rows})),
            best AS (SELECT row FROM judged WHERE reason IS NULL ORDER BY clip_score DESC, key LIMIT {room})
            SELECT row, key, CASE WHEN reason IS NOT NULL THEN reason WHEN best.row IS NULL THEN 'best' END AS reason
            FROM judged LEFT JOIN best USING (row)
        ) TO '{out}' (FORMAT parquet, COMPRESSION zstd)"""  # noqa: S608
    )
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    kept, digest = 0, hashlib.sha256()
    rows = database.execute(f"SELECT row FROM read_parquet('{out}') WHERE reason IS NULL ORDER BY row")  # noqa: S608
    while some := rows.fetchmany(100_000):
        kept += len(some)
        digest.update(array("q", [row for (row,) in some]).tobytes())
    database.close()
    out.unlink()
    figures = {
        "seconds": round(seconds, 2),
        "cpu_s": round(cpu, 2),
        "peak_rss_bytes": peak,
        "kept": kept,
        "kept_sha256": digest.hexdigest(),
    }
    sys.stdout.write(json.dumps({**figures, "version": duckdb.__version__}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
