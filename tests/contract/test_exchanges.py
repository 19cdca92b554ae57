"""Every exchange of the catalogue keeps the contract of exchanges, and every sink its promise of places."""

import pickle
import re
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from evaluation_tables import evaluation_table
from samples import table_for

from schemas.columns import COLUMNS, Role
from stages.catalogue import CATALOGUE

CONCEPTS = str(Path(__file__).parent / "concepts.txt")
SETTINGS = {
    "balance_groups": [
        {"by": ("text_language",), "max_per_group": 2},
        {"by": ("text_words",), "rows": 20, "temperature": 0.5, "column": "clip_score"},
    ],
    "balance_metadata": [
        {"metadata": CONCEPTS, "max_per_entry": 3},
        {"metadata": CONCEPTS, "max_per_entry": 2, "choose": "exactly", "case_sensitive": False},
        {"metadata": {"en": CONCEPTS, "other": CONCEPTS}, "max_per_entry": 2},
    ],
    "deduplicate": [
        {},
        {"prefer": ("best_score", "longest_text", "largest", "first")},
        {"perceptual": None},
        {"exact": ("image", "url", "pair"), "sort_parameters": True},
    ],
    "decontaminate": [
        {"sets": ({"name": "benchmark", "path": evaluation_table()},), "descriptor": {}},
        {"sets": ({"name": "benchmark", "path": evaluation_table()},), "sha256": False, "pdq": {"max_distance": 0}},
    ],
    "deduplicate_semantic": [{"clusters": 2}, {"keep": "best_score", "epsilon": 0.5, "sample_rows": 3}],
    "deduplicate_text": [{}, {"prefer": ("best_score", "longest_text", "first"), "keep": 3}, {"near": None}],
    "limit_repeats": [
        {"max_images_per_text": 2},
        {"image": "pdq", "max_texts_per_image": 8, "max_images_per_text": None},
    ],
    "rare_tokens": [{"min_count": 6}, {"most_frequent": 30, "judge": "words_and_pairs"}, {"most_frequent": 7}],
    "select": [
        {"rules": ({"column": "clip_score", "min_quantile": 0.2}, {"by": ("text_words",), "max_per_group": 3})},
        {"rules": ({"column": "clip_score", "min": 0.0},)},
        {"rules": ({"column": "clip_score", "top_fraction": 0.3}, {"where": "width > 5 OR height IS NULL"})},
    ],
    "write_shards": [{"shard_rows": 7}, {"shard_rows": 1000}, {"shard_rows": 5, "shuffle_window_rows": 8}],
}
"""What each is tried with; nothing stated is tried with the defaults."""

EXCHANGES = [(kind, settings) for kind in sorted(CATALOGUE.exchanges) for settings in SETTINGS.get(kind, [{}])]
SINKS = [(kind, settings) for kind in sorted(CATALOGUE.sinks) for settings in SETTINGS.get(kind, [{}])]


def made(kind, settings):
    step_class = CATALOGUE.steps[kind]
    return pickle.loads(pickle.dumps(step_class(step_class.Config.model_validate(settings, strict=False))))


def frame_for(step, rows=60):
    return pl.DataFrame(pl.from_arrow(table_for(step.spec.requires, rows))).sort("key")


@pytest.fixture(params=EXCHANGES, ids=lambda case: f"{case[0]}-{case[1]}"[:60])
def exchange(request):
    return made(*request.param)


@pytest.fixture(params=SINKS, ids=lambda case: f"{case[0]}-{case[1]}"[:60])
def sink(request):
    return made(*request.param)


def verdicts_of(exchange, frame):
    return exchange.decide(frame.lazy()).collect().sort("row")


def test_each_row_has_one_verdict_in_registered_types_when_decided(exchange):
    frame = frame_for(exchange)
    verdicts = verdicts_of(exchange, frame)
    names = ("row", "reason", "detail", *exchange.spec.adds)
    assert set(names) <= set(verdicts.columns)
    assert verdicts["row"].to_list() == sorted(frame["row"])
    schema = pa.schema([COLUMNS[name].field.with_nullable(True) for name in names])
    assert verdicts.select(names).to_arrow().cast(schema).num_rows == 60
    assert 0 < verdicts["reason"].null_count() < 60


def test_rules_are_bare_names_when_rows_are_rejected(exchange):
    rules = verdicts_of(exchange, frame_for(exchange))["reason"].drop_nulls().unique()
    assert all(re.fullmatch("[a-z][a-z0-9_]*", rule) for rule in rules)


@pytest.mark.parametrize("seed", [1, 2])
def test_verdicts_do_not_hang_on_it_when_rows_come_in_another_order(exchange, seed):
    frame = frame_for(exchange)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=seed)
    assert verdicts_of(exchange, shuffled).equals(verdicts_of(exchange, frame))


def test_verdicts_have_their_columns_when_there_are_no_rows(exchange):
    verdicts = verdicts_of(exchange, frame_for(exchange).head(0))
    assert {"row", "reason", "detail", *exchange.spec.adds} <= set(verdicts.columns)
    assert verdicts.height == 0


def test_a_verdict_is_made_when_there_is_one_row(exchange):
    assert verdicts_of(exchange, frame_for(exchange).head(1)).height == 1


def test_bytes_are_not_read_and_scalars_alone_written_when_declared(exchange):
    spec = exchange.spec
    assert spec.kind == exchange.config.kind
    assert spec.version >= 1
    assert all(COLUMNS[name].decidable for name in spec.requires)
    assert {COLUMNS[name].role for name in spec.adds} <= {Role.SCALAR}
    assert not set(spec.adds) & set(spec.requires)


def test_each_row_has_one_dense_place_when_a_sink_assigns_them(sink):
    frame = frame_for(sink).select("row", "key")
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    places = sink.assign(frame.lazy()).collect().sort("row")
    assert places.equals(sink.assign(shuffled.lazy()).collect().sort("row"))
    unit, place = sink.spec.adds[:2]
    delivered = places.filter(pl.col("reason").is_null()).sort(unit, place)
    for number, rows in enumerate(delivered.partition_by(unit, maintain_order=True)):
        assert rows[unit].unique().to_list() == [number]
        assert rows[place].to_list() == list(range(rows.height))
    assert places["row"].to_list() == sorted(frame["row"])


def test_there_is_no_place_when_a_sink_is_given_no_rows(sink):
    assert sink.assign(frame_for(sink).select("row", "key").head(0).lazy()).collect().height == 0
