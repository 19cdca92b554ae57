import pickle

import pyarrow as pa
import pytest

from curation.errors import RecipeError
from curation.plan.fingerprints import steps_fingerprint
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from stages.catalogue import CATALOGUE
from stages.text.blocklist import TextBlocklist, TextBlocklistConfig


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("cheap shoes\nspam\n")
    return path


def processed(texts, *paths, **settings):
    stage = TextBlocklist(TextBlocklistConfig(files=tuple(map(str, paths)), **settings))
    stage.check()
    stage.setup()
    columns = {"row": pa.array(range(len(texts)), pa.int64()), "key": list(map(str, range(len(texts))))}
    return stage.process(pa.table({**columns, "text": pa.array(texts, pa.string())})).to_pylist()


def test_text_is_rejected_with_the_entry_named_when_it_has_one(words):
    rows = processed(["Buy CHEAP, shoes", "cheap red shoes", None], words)

    assert [row["reason"] for row in rows] == ["max_found", None, None]
    assert rows[0]["detail"] == "1 > 0: cheap shoes"
    assert [row["text_blocked"] for row in rows] == [1, 0, 0]


@pytest.mark.parametrize(("most", "reasons"), [(1, [None, "max_found"]), (2, [None, None]), (None, [None, None])])
def test_finds_are_allowed_when_a_bound_says_so(words, most, reasons):
    rows = processed(["spam", "spam and spam"], words, max_found=most)

    assert [row.get("reason") for row in rows] == reasons


def test_all_lists_count_when_there_are_several(words, tmp_path):
    (tmp_path / "more.txt").write_text("offer\n")

    assert processed(["spam offer"], words, tmp_path / "more.txt")[0]["text_blocked"] == 2


def test_recipe_is_refused_when_the_list_is_not_there(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        TextBlocklist(TextBlocklistConfig(files=(str(tmp_path / "none.txt"),))).check()


def test_list_comes_along_when_a_worker_cannot_reach_its_file(words):
    stage = TextBlocklist(TextBlocklistConfig(files=(str(words),)))
    stage.check()
    words.unlink()

    at_work = pickle.loads(pickle.dumps(stage))
    at_work.setup()

    table = pa.table({"row": pa.array([0], pa.int64()), "key": ["a"], "text": ["spam"]})
    assert at_work.process(table)["text_blocked"].to_pylist() == [1]


def test_phase_is_another_one_when_the_list_has_changed(words):
    steps = f"[{{kind: text_rules}}, {{kind: text_blocklist, files: ['{words}']}}]"
    text = f"source: {{kind: url_table, path: p.parquet}}\nsteps: {steps}\n"

    def prints():
        plan = make_plan(parse_recipe(text, "r.yaml", CATALOGUE))
        return [steps_fingerprint(phase, "layout") for phase in plan.phases]

    before = prints()
    words.write_text("# reordered\nspam\ncheap shoes\n")
    reordered = prints()
    words.write_text("spam\n")
    shortened = prints()

    assert reordered == before
    assert shortened[0] == before[0]
    assert shortened[1] != before[1]
