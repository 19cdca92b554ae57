"""Traces of a run that was really made, as a collector on a socket gets them."""

import json
import time
from collections import defaultdict

import pytest
from toy_runs import RECIPE, execute, files_of
from trace_collector import TraceCollector, attributes_of

from curation.tracing.traced_events import TracedEvents
from curation.tracing.traced_operator import TracedOperator

ON_TWO_WORKERS = RECIPE.replace("kind: develop", "kind: develop_on_gpu")


@pytest.fixture
def collector():
    started = TraceCollector()
    yield started
    started.close()


def traced(folder, destination, *overrides, text=ON_TWO_WORKERS, run="r1"):
    events = TracedEvents(destination, run, "toys")
    try:
        return execute(folder / "out", *overrides, text=text, log=folder, listener=events, wrap=TracedOperator)
    finally:
        events.close()


def by_trace(collector):
    traces = defaultdict(list)
    for _, span in collector.spans:
        traces[span.trace_id].append(span)
    return list(traces.values())


def test_every_part_has_a_trace_through_all_phases_when_a_collector_listens(tmp_path, collector):
    begin = time.time()
    traced(tmp_path, f"otlp://127.0.0.1:{collector.port}")
    assert collector.paths == {"/v1/traces"}
    assert {(values["service.name"], values["curation.run"]) for values, _ in collector.spans} == {("curation", "r1")}
    # 100 rows in parts of 16 are 7 parts; those that threshold leaves are in shards of 10; the last trace is the run's.
    parts = [spans for spans in by_trace(collector) if "curation.part" in attributes_of(spans[0])]
    assert sorted(attributes_of(spans[0])["curation.part"] for spans in parts) == list(range(7))
    for spans in parts:
        named = {span.span_id: span for span in spans}
        tree = sorted((span.name, named[span.parent_span_id].name if span.parent_span_id else "") for span in spans)
        assert tree == [
            ("develop_on_gpu", "develop_on_gpu"),
            ("develop_on_gpu", "phase draw-develop_on_gpu"),
            ("draw", "draw"),
            ("draw", "phase draw-develop_on_gpu"),
            ("ledger", "ledger ledger"),
            ("ledger ledger", ""),
            ("measure_text", "measure_text"),
            ("measure_text", "phase measure_text"),
            ("phase draw-develop_on_gpu", ""),
            ("phase measure_text", ""),
        ]
        for span in spans:
            over = named.get(span.parent_span_id, span)
            assert begin * 1e9 - 1e6 <= span.start_time_unix_nano <= span.end_time_unix_nano <= time.time() * 1e9 + 1e6
            assert over.start_time_unix_nano - 1e6 <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= over.end_time_unix_nano + 1e6


def test_spans_count_rows_by_outcome_when_a_part_is_measured(tmp_path, collector):
    traced(tmp_path, f"http://127.0.0.1:{collector.port}/v1/traces", "source.rows=16")
    (spans,) = [spans for spans in by_trace(collector) if "curation.part" in attributes_of(spans[0])]
    told = {span.name: attributes_of(span) for span in spans}
    # Rows 0, 7 and 14 have no words; of the other 13, 5, 10 and 15 fail.
    whole = told["phase measure_text"]
    assert (whole["curation.rows_in"], whole["curation.rows_kept"]) == (16, 13)
    assert whole["curation.rejected.measure_text.min_words"] == 3
    drawn = told["phase draw-develop_on_gpu"]
    assert (drawn["curation.rows_in"], drawn["curation.rows_kept"]) == (13, 10)
    assert drawn["curation.failed.http_not_found"] == 3
    (stage,) = [
        attributes_of(span) for span in spans if span.name == "draw" and "curation.busy_seconds" in attributes_of(span)
    ]
    assert (stage["curation.rows_in"], stage["curation.rows_out"], stage["curation.ended.http_not_found"]) == (
        13,
        10,
        3,
    )


def test_a_part_that_is_set_aside_ends_with_its_error_when_traced(tmp_path, collector):
    traced(tmp_path, f"otlp://127.0.0.1:{collector.port}", "measure_text.raise_row=20", "source.rows=32")
    failed = [span for _, span in collector.spans if span.status.code == 2]
    assert {span.name for span in failed} == {"phase measure_text", "measure_text"}
    assert all(span.status.message == "ValueError: this row breaks the stage" for span in failed)


def test_results_are_the_same_to_the_byte_when_the_collector_is_gone(tmp_path):
    plain = execute(tmp_path / "plain" / "out", log=tmp_path)
    begin = time.monotonic()
    lost = traced(tmp_path / "lost", "otlp://127.0.0.1:9", text=RECIPE)
    assert time.monotonic() - begin < 12
    assert files_of(tmp_path / "lost" / "out", lost) == files_of(tmp_path / "plain" / "out", plain)


def test_a_file_holds_a_line_of_otlp_for_each_batch_when_it_is_the_destination(tmp_path):
    traced(tmp_path, str(tmp_path / "spans.jsonl"), "source.rows=16")
    requests = [json.loads(line) for line in (tmp_path / "spans.jsonl").read_text().splitlines()]
    spans = [
        span
        for request in requests
        for of_resource in request["resourceSpans"]
        for of_scope in of_resource["scopeSpans"]
        for span in of_scope["spans"]
    ]
    assert {"phase measure_text", "ledger ledger", "delivery write_lines"} <= {span["name"] for span in spans}
    assert all(len(bytes.fromhex(span["traceId"])) == 16 and len(bytes.fromhex(span["spanId"])) == 8 for span in spans)
    assert "spans" not in (next((tmp_path / "out" / "pool").glob("*/commits-*/*.json"))).read_text()
