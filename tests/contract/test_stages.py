"""Every stage of the catalogue keeps the contract of stages."""

import pickle
import re
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute
import pytest
from copy_models import copy_model
from samples import table_for, urls_of

from curation.engine.stage_chain import END_COLUMNS, StageChain
from curation.engine.stage_contract import check_result
from schemas.columns import COLUMNS, Role
from stages.catalogue import CATALOGUE

SETTINGS = {
    "fetch_images": {"allow_networks": ("127.0.0.0/8",), "allow_ports": None, "retries": 0},
    "fingerprint": {"inner_hash": True, "dihedral": True},
    "describe_copies": {"model": copy_model(), "side_px": 32, "batch_size": 4},
    "score_alignment": {"model": "embedded:clip", "batch_size": 8},
    "text_rules": {"pii": "reject", "mask_persons": True, "reject_markup": True},
    "text_prose": {"min_stop_word_share": 0.2},
    "text_blocklist": {"files": (str(Path(__file__).parents[1] / "support" / "blocked_words.txt"),)},
    "recaption": {"model": "embedded:captioner", "batch_size": 8, "max_new_tokens": 12},
}
"""What a stage cannot be tried without, or is tried more thoroughly with."""

STAGES = sorted(CATALOGUE.stages)
_watching: list[list[str]] = []


def _notice(event, arguments):
    if _watching and event in ("open", "socket.connect", "os.listdir", "os.scandir", "subprocess.Popen", "os.mkdir"):
        # Importing a module reads files, too.
        if event == "open" and str(arguments[0]).endswith((".py", ".pyc", ".so")):
            return
        _watching[-1].append(f"{event} {arguments[0]}")


sys.addaudithook(_notice)


def made(kind):
    stage_class = CATALOGUE.stages[kind]
    return stage_class(stage_class.Config(**SETTINGS.get(kind, {})))


@pytest.fixture(scope="module", params=STAGES)
def stage(request):
    """The stage as a worker gets it: pickled, and set up there."""
    stage = pickle.loads(pickle.dumps(made(request.param)))
    stage.setup()
    yield stage
    stage.close()


@pytest.fixture
def table(stage, web):
    return table_for(stage.spec.requires, urls=urls_of(web))


@pytest.fixture(scope="module")
def result(stage, web):
    return stage.process(table_for(stage.spec.requires, urls=urls_of(web)))


def steady(table):
    """The columns that do not differ from run to run."""
    names = [name for name in table.column_names if name not in COLUMNS or COLUMNS[name].role is not Role.VOLATILE]
    return table.select(names).combine_chunks()


@pytest.mark.parametrize("kind", STAGES)
def test_nothing_is_read_or_opened_when_a_stage_is_built(kind):
    made(kind)
    seen = []
    _watching.append(seen)
    try:
        _ = made(kind).spec
    finally:
        _watching.pop()
    assert seen == []


@pytest.mark.parametrize("kind", STAGES)
def test_the_spec_speaks_of_registered_columns_alone_when_declared(kind):
    spec = made(kind).spec
    assert spec == made(kind).spec
    assert spec.kind == kind == made(kind).config.kind
    assert spec.version >= 1
    assert set(spec.requires) <= set(COLUMNS)
    assert set(spec.adds) <= set(COLUMNS)
    assert not set(spec.adds) & {"row", "key", "url", "caption", *spec.requires, *END_COLUMNS}
    assert len(set(spec.adds)) == len(spec.adds)
    assert set(spec.revisits) <= {name for name in spec.adds if COLUMNS[name].role is not Role.TRANSIENT}
    assert spec.resources.cpus > 0


def test_columns_rows_and_marks_are_as_declared_when_a_part_was_processed(stage, table, result):
    check_result(stage, table, result, 0)
    assert set(table.column_names) <= set(result.column_names)
    for name in table.column_names:
        assert result[name].equals(table[name])


def test_something_is_measured_and_something_is_refused_when_samples_are_good_and_bad(stage, result):
    alive = result.filter(result["outcome"].is_null()) if "outcome" in result.column_names else result
    assert alive.num_rows > 0
    assert any(alive[name].null_count < alive.num_rows for name in stage.spec.adds)
    assert alive.num_rows < result.num_rows


def test_rules_are_bare_names_when_rows_are_rejected(result):
    rejections = [row["reason"] for row in result.to_pylist() if row.get("outcome") == "rejected"]
    assert all(re.fullmatch("[a-z][a-z0-9_]*", rule) for rule in rejections)


def test_all_columns_are_there_when_no_row_is_given(stage, table):
    empty = table.slice(0, 0)
    result = stage.process(empty)
    check_result(stage, empty, result, 0)
    assert result.num_rows == 0


def test_the_result_is_the_same_when_processed_again(stage, table, result):
    assert steady(stage.process(table)).equals(steady(result))


def test_the_input_is_untouched_when_it_was_processed(stage, table):
    before = _bytes_of(table)
    stage.process(table)
    assert _bytes_of(table) == before


def _bytes_of(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def test_each_row_stands_for_itself_when_a_stage_says_so(stage, table, result):
    if not stage.spec.rowwise:
        pytest.skip("its rows belong together")
    backwards = [stage.process(table.slice(place, 5)) for place in range(table.num_rows - 5, -1, -5)]
    pieces = pa.concat_tables([steady(piece) for piece in backwards], promote_options="default").sort_by("row")
    expected = steady(result).filter(pa.compute.is_in(result["row"], value_set=pieces["row"].combine_chunks()))
    names = [name for name in expected.column_names if name in pieces.column_names]
    assert pieces.select(names).to_pylist() == expected.select(names).to_pylist()


def test_marked_rows_leave_and_no_other_when_the_engine_runs_the_stage(stage, table, result):
    outcomes = result["outcome"].to_pylist() if "outcome" in result.column_names else [None] * result.num_rows
    done = StageChain([stage]).run(table, 0)
    assert done["row"].equals(table["row"])
    assert done["outcome"].to_pylist() == outcomes
    assert set(done["step"].drop_null().to_pylist()) <= {stage.config.step_name}


def test_it_can_be_processed_when_it_comes_in_several_chunks(stage, table, result):
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1, 10), table.slice(11)])
    assert steady(stage.process(chunked)).to_pylist() == steady(result).to_pylist()


def test_it_can_be_closed_twice_and_set_up_again_when_a_worker_is_used_again(stage, table, result):
    stage.close()
    stage.close()
    stage.setup()
    assert steady(stage.process(table)).equals(steady(result))
