"""Real steps and stores that kill the process they run in, once, at a place that a test names, and note their work."""

import contextlib
import fnmatch
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Literal
from unittest import mock

import pyarrow as pa
import toy_steps

import jobs.curate
from curation.catalogue import Catalogue
from curation.contracts.config import StepConfig, Tuning
from curation.contracts.stage import StreamingStage
from curation.engine import run
from curation.storage.store import Store
from stages.catalogue import CATALOGUE

_PATIENCE_S = 500


class DrawLarge(toy_steps.Draw):
    """`draw` with bodies of so many bytes: a part of them lies in the object store of the node that drew it."""

    class Config(StepConfig):
        kind: Literal["draw_large"] = "draw_large"
        body_bytes: int
        log: Tuning[str | None] = None

    def stream(self, table):
        for row in super().stream(table):
            body = [None if short is None else short.ljust(self.config.body_bytes) for short in row["body"].to_pylist()]
            place = row.column_names.index("body")
            yield row.set_column(place, row.schema.field(place), pa.array(body, pa.large_binary()))


EVERYTHING = Catalogue(
    sources={**CATALOGUE.sources, **toy_steps.CATALOGUE.sources},
    stages={**CATALOGUE.stages, **toy_steps.CATALOGUE.stages, "draw_large": DrawLarge},
    exchanges={**CATALOGUE.exchanges, **toy_steps.CATALOGUE.exchanges},
    sinks={**CATALOGUE.sinks, **toy_steps.CATALOGUE.sinks},
)


class Plot:
    """Who dies where.

    Args:
        folder: Where the work done and the dead are noted.
        rows: By kind of stage: it dies when it has worked on one of the rows [first, last].
        units: By kind of sink: it dies when it has written that unit, which has no commit yet.
        decisions: Kinds of exchanges that die when they have decided.
        commits: Patterns of paths: who wants to put such a file dies before.
        always: Who is killed is killed each time, not once.
        held: Kinds of stages that wait at their first part until they are released.
        together: So many processes wait for each other before any of them works.
    """

    def __init__(self, folder, rows=None, units=None, decisions=(), commits=(), always=False, held=(), together=0):
        self.folder = str(folder)
        self.rows = rows or {}
        self.units = units or {}
        self.decisions = decisions
        self.commits = commits
        self.always = always
        self.held = held
        self.together = together
        os.makedirs(self.folder, exist_ok=True)

    def kill(self, name):
        """Kills this process, as suddenly as can be, unless one was killed there before."""
        try:
            os.close(os.open(f"{self.folder}/{name.replace('/', ':')}.dead", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            if not self.always:
                return
        if self.always:
            # What the worker answered before has left it: who is to blame is certain, and the tries can be counted.
            time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)

    def note(self, name, numbers):
        """Notes work as it begins, and in whose charge the process is: on a cluster, its node's."""
        self._meet()
        with open(f"{self.folder}/{name}.work", "ab", buffering=0) as file:
            # Lines of one write are whole, whoever else writes.
            file.write("".join(f"{number} {os.getppid()}\n" for number in numbers).encode())
        while name in self.held and not os.path.exists(f"{self.folder}/{name}.released"):
            time.sleep(0.05)

    def _meet(self):
        if self.together:
            Path(self.folder, f"{os.getpid()}.arrived").touch()
        limit = time.monotonic() + _PATIENCE_S
        while len(list(Path(self.folder).glob("*.arrived"))) < self.together:
            assert time.monotonic() < limit, "the other process did not come"
            time.sleep(0.01)

    def release(self, name):
        """Lets a stage that is held go on."""
        Path(self.folder, f"{name}.released").touch()

    @property
    def dead(self):
        """Where somebody was killed."""
        return {name.removesuffix(".dead").replace(":", "/") for name in os.listdir(self.folder) if ".dead" in name}

    def work(self, name):
        """How often each row, or unit, was worked on."""
        return Counter(number for number, _ in self._lines(name))

    def workers(self, name):
        """By the process in whose charge it was done, the rows or units that were worked on."""
        done = {}
        for number, parent in self._lines(name):
            done.setdefault(parent, set()).add(number)
        return done

    def _lines(self, name):
        path = Path(self.folder, f"{name}.work")
        return [tuple(map(int, line.split())) for line in path.read_text().splitlines()] if path.exists() else []

    def repeated(self, name):
        """The rows, or units, that were worked on more than once."""
        return {number for number, times in self.work(name).items() if times > 1}


class DeadlyStore(Store):
    """A store whose writer dies before it puts a commit."""

    def __init__(self, url, plot):
        super().__init__(url)
        self.plot = plot

    def __getstate__(self):
        return {**super().__getstate__(), "plot": self.plot}

    def __setstate__(self, state):
        super().__setstate__(state)
        self.plot = state["plot"]

    def put_if_absent(self, path, data):
        for pattern in self.plot.commits:
            if fnmatch.fnmatch(path, pattern):
                self.plot.kill(pattern)
        return super().put_if_absent(path, data)


def _meets(plot, kind, rows):
    first, last = plot.rows.get(kind, (0, -1))
    return any(first <= row <= last for row in rows)


def _deadly_stage(kind, step, plot):
    def rows_of(table):
        rows = table["row"].to_pylist()
        plot.note(kind, rows)
        return rows

    if issubclass(step, StreamingStage):

        class Deadly(step):
            def stream(self, table):
                rows = rows_of(table)
                for chunk in super().stream(table):
                    yield chunk
                    if _meets(plot, kind, rows):
                        plot.kill(kind)
    else:

        class Deadly(step):
            def process(self, table):
                rows = rows_of(table)
                done = super().process(table)
                if _meets(plot, kind, rows):
                    plot.kill(kind)
                return done

    return Deadly


def _deadly_exchange(kind, step, plot):
    class Deadly(step):
        def decide(self, frame):
            verdicts = super().decide(frame)
            plot.note(kind, [0])
            if kind in plot.decisions:
                plot.kill(kind)
            return verdicts

    return Deadly


def _deadly_sink(kind, step, plot):
    class Deadly(step):
        def write(self, unit, table, store):
            plot.note(kind, [unit])
            files = super().write(unit, table, store)
            if plot.units.get(kind) == unit:
                plot.kill(kind)
            return files

    return Deadly


def deadly_catalogue(plot):
    """Every step there is, toys included, of the same names, versions and settings: the same fingerprints."""
    return Catalogue(
        sources=EVERYTHING.sources,
        stages={kind: _deadly_stage(kind, step, plot) for kind, step in EVERYTHING.stages.items()},
        exchanges={kind: _deadly_exchange(kind, step, plot) for kind, step in EVERYTHING.exchanges.items()},
        sinks={kind: _deadly_sink(kind, step, plot) for kind, step in EVERYTHING.sinks.items()},
    )


@contextlib.contextmanager
def plotted(plot, *, light=True):
    """`jobs.curate` with steps and a store that die.

    Args:
        light: As it is: little work is done by the driver. False: workers do all of it.
    """
    nothing = dict.fromkeys(("deciding", "delivery", "ledger"), 0)
    with (
        mock.patch.object(jobs.curate, "CATALOGUE", deadly_catalogue(plot)),
        mock.patch.object(jobs.curate, "Store", lambda url: DeadlyStore(url, plot)),
        mock.patch.dict(run.LIGHT_ROWS, {} if light else nothing),
    ):
        yield


def travel_whole():
    """Workers of a cluster cannot import what lies among the tests: it is sent to them."""
    # Drivers without a cluster do not wait for it to be loaded.
    import ray

    for module in (toy_steps, sys.modules[Plot.__module__]):
        ray.cloudpickle.register_pickle_by_value(module)
