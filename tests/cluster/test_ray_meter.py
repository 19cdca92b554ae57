"""Figures for Prometheus: counted by Ray's exporter as the ledger counts them."""

import os
import time
import urllib.request
from collections import defaultdict

import polars as pl
import pytest
import ray
import toy_steps
from prometheus_client.parser import text_string_to_metric_families
from toy_runs import RECIPE, execute, files_of, ledger_of

from curation.engine.events import Listeners
from curation.engine.meters import ROWS, MeteredEvents, Metric
from curation.runtime.on_ray.meter import RayMeter
from curation.runtime.on_ray.runner import RayRunner
from curation.tracing.traced_operator import TracedOperator

pytestmark = pytest.mark.timeout(240)


class Heard(Listeners):
    """Keeps the reports of each item."""

    def __init__(self):
        super().__init__()
        self.reports = defaultdict(list)

    def item_started(self, start):
        self.item = start.name

    def unit_done(self, report):
        self.reports[self.item].append(report)


def scraped(port):
    """The values of our figures, summed over processes, by name and labels without those that Ray adds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    values = defaultdict(float)
    own_id = ray.get_runtime_context().get_worker_id()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if not sample.name.startswith("ray_curation_"):
                continue
            # Others have counted on the same cluster: of drivers, this one's figures are meant.
            worker = sample.labels["WorkerId"]
            if worker == own_id or not worker.endswith("f" * 56):
                own = {name: value for name, value in sample.labels.items() if name.islower() and "otel" not in name}
                values[sample.name, *sorted(own.items())] += sample.value
    return dict(values)


def rows_of(values, kind):
    return {
        (dict(labels)["item"], dict(labels)["outcome"], dict(labels).get("reason", "")): value
        for (name, *labels), value in values.items()
        if name == "ray_curation_rows_total" and dict(labels)["kind"] == kind
    }


def test_prometheus_reads_what_the_ledger_counts_when_a_run_goes_on(tmp_path, ray_address):
    ray.cloudpickle.register_pickle_by_value(toy_steps)
    meter, heard = RayMeter(), Heard()
    text = RECIPE.replace("kind: develop", "kind: develop_on_gpu")
    result = execute(
        tmp_path / "on" / "out",
        text=text,
        log=tmp_path,
        runner=RayRunner(max_tries=2, meter=meter),
        listener=Listeners(MeteredEvents(meter), heard),
        wrap=TracedOperator,
    )
    # What the workers noted for traces has come through both of them to the driver.
    chains = [
        [span for span in report.spans if span.operator is None] for report in heard.reports["draw-develop_on_gpu"]
    ]
    assert {tuple(span.name for span in chain) for chain in chains} == {("draw", "develop_on_gpu")}
    workers = [{span.worker for span in chain} for chain in chains]
    assert all(len(both) == 2 and not any(name.endswith(f":{os.getpid()}") for name in both) for both in workers)
    ledger = ledger_of(tmp_path / "on" / "out", result)
    expected = {
        ("ledger", row["outcome"], row["reason"] or ""): row["len"]
        for row in ledger.group_by("outcome", "reason").agg(pl.len()).to_dicts()
    }
    port = ray.nodes()[0]["MetricsExportPort"]
    deadline = time.monotonic() + 40
    while rows_of(values := scraped(port), "ledger") != expected or ("develop_on_gpu", "gpu") not in _workers(values):
        assert time.monotonic() < deadline, values
        time.sleep(0.5)
    assert (
        rows_of(values, "phase")["draw-develop_on_gpu", "failed", "http_not_found"]
        == ledger.filter(pl.col("reason") == "http_not_found").height
    )
    busy = _workers(values)
    assert busy["draw", "cpu"] > 0
    assert busy["develop_on_gpu", "gpu"] > 0
    without = execute(tmp_path / "off" / "out", text=text, log=tmp_path)
    assert files_of(tmp_path / "on" / "out", result) == files_of(tmp_path / "off" / "out", without)


def _workers(values):
    return {
        (dict(labels)["operator"], dict(labels)["device"]): value
        for (name, *labels), value in values.items()
        if name == "ray_curation_worker_seconds_total" and dict(labels)["state"] == "busy"
    }


def test_all_others_are_counted_when_a_figure_cannot_be(ray_address):
    meter, other = RayMeter(), Metric("curation_other_total", "counter", ("known",), "has one label")
    there = {"kind": "phase", "item": "other", "outcome": "rejected", "reason": "rule"}
    for known in ("before", "after"):
        meter.add(ROWS, 2, **there)
        meter.add(other, 3, known=known)
        # None of these can be: a label that nobody knows, labels that are missing, a name that Prometheus refuses.
        meter.add(other, 1, unknown="x")
        meter.add(ROWS, 1)
        meter.add(Metric("no name", "counter", (), "that Prometheus would take"), 1)
    expected = {("ray_curation_other_total", ("known", known)): 3 for known in ("before", "after")}
    expected["ray_curation_rows_total", *sorted(there.items())] = 4
    port = ray.nodes()[0]["MetricsExportPort"]
    deadline = time.monotonic() + 40
    while {name: value for name, value in scraped(port).items() if _of_this_test(name)} != expected:
        assert time.monotonic() < deadline, scraped(port)
        time.sleep(0.5)


def _of_this_test(name):
    return name[0] == "ray_curation_other_total" or ("item", "other") in name
