"""Figures by way of Ray: each process has them counted by Ray's exporter on its node, which Prometheus asks."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Any

import ray
from ray.util.metrics import Counter, Gauge

from curation.engine.meters import Metric

logger = logging.getLogger(__name__)

_Labels = tuple[tuple[str, str], ...]


class RayMeter:
    """Travels to workers by pickling. What is counted before Ray has started is counted when it has."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}
        self._early: dict[tuple[Metric, _Labels], float] = defaultdict(float)

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]

    def add(self, metric: Metric, amount: float, **labels: str) -> None:
        """Adds to a counter."""
        if amount > 0:
            self._early[metric, tuple(labels.items())] += amount
            self._pass_on()

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Sets a gauge."""
        self._early[metric, tuple(labels.items())] = value
        self._pass_on()

    def _pass_on(self) -> None:
        if not ray.is_initialized():
            return
        for (metric, labels), value in self._early.items():
            try:
                known = self._known.get(metric.name) or self._known.setdefault(metric.name, _made(metric))
                (known.inc if metric.kind == "counter" else known.set)(value, tags=dict(labels))
            except Exception:
                # No unit fails because nobody could be told of it.
                logger.debug("%s is lost", metric.name, exc_info=True)
        self._early.clear()


def _made(metric: Metric) -> Any:
    made = Counter if metric.kind == "counter" else Gauge
    return made(metric.name, description=metric.meaning, tag_keys=metric.labels)
