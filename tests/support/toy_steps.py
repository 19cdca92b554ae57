"""Small real steps with results that can be worked out by hand, for tests of the engine."""

import os
import signal
import time
from typing import Literal

import polars as pl
import pyarrow as pa

from curation.catalogue import Catalogue
from curation.contracts.config import StepConfig, Tuning
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.contracts.marks import failed, rejected, with_marks
from curation.contracts.resources import Resources
from curation.contracts.sink import Sink, SinkSpec
from curation.contracts.source import Source, SourceIndex
from curation.contracts.stage import Stage, StageSpec, StreamingStage
from curation.row_keys import row_keys
from schemas.columns import COLUMNS, schema_of
from schemas.outcomes import FailureReason


class CountingSource(Source):
    """Row i has the URL `u/i` and the caption `word word …`, i % 7 times."""

    class Config(StepConfig):
        kind: Literal["counting"] = "counting"
        rows: int

    @property
    def carried(self):
        return ("page",)

    def check(self):
        pass

    def index(self, workspace):
        columns = pa.schema([*schema_of("row", "key", "url", "caption"), pa.field("page", pa.int64())])
        return SourceIndex(self.config.rows, f"counting-{self.config.rows}", columns)

    def read(self, index, start, stop, workspace):
        rows = list(range(start, stop))
        urls = [f"u/{row}" for row in rows]
        captions = [" ".join(["word"] * (row % 7)) for row in rows]
        keys = row_keys("counting", urls, captions)
        return pa.table([rows, keys, urls, captions, [row % 3 for row in rows]], schema=index.columns)


class MeasureText(Stage):
    """`text_words`; fewer than `min_words` are rejected. Notes every row it works on in `log`."""

    class Config(StepConfig):
        kind: Literal["measure_text"] = "measure_text"
        min_words: int = 0
        decides: bool = False
        log: Tuning[str | None] = None
        crash_row: Tuning[int | None] = None
        raise_row: Tuning[int | None] = None
        pause_s: Tuning[float] = 0.0

    @property
    def spec(self):
        decides = self.config.decides
        return StageSpec("measure_text", 1, ("caption",), ("text_words",), rowwise=True, decides=decides)

    def process(self, table):
        rows = table["row"].to_pylist()
        if self.config.log and rows:
            with open(self.config.log, "a") as file:
                file.writelines(f"{row}\n" for row in rows)
        time.sleep(self.config.pause_s)
        if self.config.crash_row in rows:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.config.raise_row in rows:
            raise ValueError("this row breaks the stage")
        words = [len(caption.split()) for caption in table["caption"].to_pylist()]
        marks = [
            rejected("min_words", f"{n} < {self.config.min_words}") if n < self.config.min_words else None
            for n in words
        ]
        return with_marks(table.append_column(COLUMNS["text_words"].field, pa.array(words, pa.int32())), marks)


class Draw(StreamingStage):
    """Adds `body` = the URL's bytes, in reverse order of rows; every fifth row fails."""

    class Config(StepConfig):
        kind: Literal["draw"] = "draw"
        log: Tuning[str | None] = None

    @property
    def spec(self):
        return StageSpec("draw", 1, ("url",), ("body", "http_status"))

    def stream(self, table):
        if self.config.log:
            with open(self.config.log, "a") as file:
                file.writelines(f"{row}\n" for row in table["row"].to_pylist())
        for i in range(table.num_rows - 1, -1, -1):
            row = table.slice(i, 1)
            bad = row["row"][0].as_py() % 5 == 0
            body = [None if bad else row["url"][0].as_py().encode()]
            row = row.append_column(COLUMNS["body"].field, pa.array(body, pa.large_binary()))
            row = row.append_column(COLUMNS["http_status"].field, pa.array([404 if bad else 200], pa.int16()))
            yield with_marks(row, [failed(FailureReason.HTTP_NOT_FOUND, "404") if bad else None])


class Develop(Stage):
    """`image` = the body twice over, `width` = its length."""

    class Config(StepConfig):
        kind: Literal["develop"] = "develop"

    @property
    def spec(self):
        return StageSpec("develop", 1, ("body",), ("image", "width"), rowwise=True)

    def process(self, table):
        images = [body * 2 for body in table["body"].to_pylist()]
        table = table.append_column(COLUMNS["image"].field, pa.array(images, pa.large_binary()))
        return table.append_column(COLUMNS["width"].field, pa.array([len(i) for i in images], pa.int32()))


class DevelopOnGpu(Develop):
    """`develop` on another device, and so on another worker than the stages before it."""

    class Config(StepConfig):
        kind: Literal["develop_on_gpu"] = "develop_on_gpu"
        crash_row: Tuning[int | None] = None
        pause_s: Tuning[float] = 0.0

    @property
    def spec(self):
        return StageSpec("develop_on_gpu", 1, ("body",), ("image", "width"), rowwise=True, resources=Resources(1, 0.5))

    def process(self, table):
        time.sleep(self.config.pause_s)
        if self.config.crash_row in table["row"].to_pylist():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().process(table)


class Threshold(Exchange):
    """Rejects rows whose `column` is below `min`."""

    class Config(StepConfig):
        kind: Literal["threshold"] = "threshold"
        column: str = "text_words"
        min: int = 3

    @property
    def spec(self):
        return ExchangeSpec("threshold", 1, (self.config.column,))

    def decide(self, frame):
        low = pl.col(self.config.column) < self.config.min
        reason = pl.when(low).then(pl.lit("min")).alias("reason")
        return frame.select("row", reason, pl.lit(None, pl.String).alias("detail"))


class WriteLines(Sink):
    """Units of `unit_rows` rows as text files: one line `row url image_bytes` for each row."""

    class Config(StepConfig):
        kind: Literal["write_lines"] = "write_lines"
        unit_rows: int = 10

    @property
    def spec(self):
        return SinkSpec("write_lines", 1, ("url",), ("shard", "shard_position"))

    def assign(self, frame):
        place = (pl.col("key").rank("ordinal") - 1).cast(pl.Int32)
        return frame.select(
            "row",
            pl.lit(None, pl.String).alias("reason"),
            pl.lit(None, pl.String).alias("detail"),
            (place // self.config.unit_rows).alias("shard"),
            (place % self.config.unit_rows).alias("shard_position"),
        )

    def write(self, unit, table, store):
        from hashlib import sha256

        from schemas.records import FileRecord

        images = table["image"].to_pylist() if "image" in table.column_names else [b""] * table.num_rows
        columns = zip(table["row"].to_pylist(), table["url"].to_pylist(), images, strict=True)
        data = "".join(f"{row} {url} {len(image)}\n" for row, url, image in columns).encode()
        store.write_bytes(f"{unit}.txt", data)
        digest = sha256(data).hexdigest()
        return [FileRecord(path=f"{unit}.txt", rows=table.num_rows, size_bytes=len(data), sha256=digest)]

    def finish(self, units, store):
        store.write_bytes("index.txt", "\n".join(file.path for unit in units for file in unit).encode())
        return []


def by_kind(*classes):
    return {step.Config.model_fields["kind"].default: step for step in classes}


CATALOGUE = Catalogue(
    sources=by_kind(CountingSource),
    stages=by_kind(MeasureText, Draw, Develop, DevelopOnGpu),
    exchanges=by_kind(Threshold),
    sinks=by_kind(WriteLines),
)
