"""The dashboard asks for figures that are exported, by labels that they have; they are named as Prometheus has it."""

import json
import re

from documents import ROOT

from curation.engine.meters import METRICS

DASHBOARD = json.loads((ROOT / "docs" / "grafana" / "curation.json").read_text())
EXPORTED = {f"ray_{metric.name}": metric for metric in METRICS}
RAYS_OWN = {"ray_object_store_used_memory", "ray_node_mem_used"}
RAYS_LABELS = {"SessionName", "NodeAddress", "instance"}
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
NAME = re.compile(r"\bray_\w+")


def labels_of(expression):
    """Labels that an expression selects or sums by."""
    selected = {
        re.split(r"[=!]", part)[0].strip()
        for inside in re.findall(r"\{([^}]*)\}", expression)
        for part in inside.split(",")
    }
    summed = re.findall(r"(?:by|on) \(([^)]*)\)", expression)
    return selected | {name.strip() for names in summed for name in names.split(",")}


def test_every_figure_of_the_dashboard_is_exported_when_it_asks():
    asked = {name for expression in EXPRESSIONS for name in NAME.findall(expression)}
    assert asked - set(EXPORTED) == RAYS_OWN


def test_every_figure_that_is_exported_is_shown_when_there_is_a_dashboard():
    asked = {name for expression in EXPRESSIONS for name in NAME.findall(expression)}
    assert set(EXPORTED) - asked == set()


def test_the_figures_have_the_labels_when_the_dashboard_uses_them():
    for expression in EXPRESSIONS:
        known = [set(EXPORTED[name].labels) for name in NAME.findall(expression) if name in EXPORTED]
        assert labels_of(expression) - set().union(*known) <= RAYS_LABELS, expression


def test_counters_are_asked_for_their_growth_when_they_are_shown_over_time():
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"] if panel["type"] == "timeseries" else ():
            for name in NAME.findall(target["expr"]):
                grows = name in EXPORTED and EXPORTED[name].kind == "counter"
                assert bool(re.search(rf"rate\({name}\b", target["expr"])) == grows, target["expr"]


def test_names_are_those_of_prometheus_when_figures_are_defined():
    for metric in METRICS:
        assert re.fullmatch(r"curation_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert not re.search(r"_(ms|milliseconds|minutes|mb|kb|count)(_|$)", metric.name)
        assert all(re.fullmatch(r"[a-z]+", label) for label in metric.labels)
        assert len(metric.meaning) > 20


def test_panels_lie_beside_each_other_when_the_dashboard_is_opened():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
