"""A recipe is either built whole, or refused with a line for each of its mistakes."""

import pytest
from toy_steps import CATALOGUE

from curation.errors import RecipeError
from curation.recipe.load import load_recipe, parse_recipe

GOOD = """\
name: words
source: {kind: counting, rows: 10}
steps:
  - kind: measure_text
    min_words: 2
  - {kind: threshold, name: strict, min: 4}
  - kind: write_lines
run:
  part_rows: 5
"""


def said_of(text, *overrides):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "r.yaml", CATALOGUE, overrides)
    return str(caught.value).splitlines()


def with_steps(steps):
    return f"source: {{kind: counting, rows: 10}}\nsteps:\n{steps}"


def test_every_step_is_built_with_its_settings_when_the_recipe_is_right():
    recipe = parse_recipe(GOOD, "r.yaml", CATALOGUE)
    assert recipe.name == "words"
    assert recipe.source.config.rows == 10
    assert [step.config.step_name for step in recipe.steps] == ["measure_text", "strict", "write_lines"]
    assert recipe.steps[0].config.min_words == 2
    assert recipe.sink is recipe.steps[2]
    assert recipe.run.part_rows == 5


def test_overrides_count_when_they_are_given():
    recipe = parse_recipe(GOOD, "r.yaml", CATALOGUE, ["strict.min=6", "run.max_tries=1", "source.rows=3"])
    assert recipe.steps[1].config.min == 6
    assert (recipe.run.max_tries, recipe.source.config.rows) == (1, 3)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (GOOD.replace("steps:", "step:"), ["r.yaml:3: step: unknown; did you mean steps?", "r.yaml:1: steps: must be"]),
        (GOOD.replace("rows: 10", "row: 10"), ["r.yaml:2: source.rows: missing", "r.yaml:2: source.row: unknown; did"]),
        (
            GOOD.replace("min_words: 2", "min_wrods: 2"),
            ["r.yaml:5: steps.0.min_wrods: unknown; did you mean min_words?"],
        ),
        (
            GOOD.replace("min_words: 2", "min_words: '2'"),
            ["r.yaml:5: steps.0.min_words: must be a whole number, not '2'"],
        ),
        (
            GOOD.replace("kind: threshold", "kind: treshold"),
            ["r.yaml:6: steps.1.kind: unknown kind 'treshold'; did you mean threshold?"],
        ),
        (
            GOOD.replace("kind: counting", "kind: counts"),
            ["r.yaml:2: source.kind: unknown kind 'counts'; did you mean counting?"],
        ),
        (GOOD.replace("name: words", "name: [1]"), ["r.yaml:1: name: must be text, not [1]"]),
        (GOOD.replace("part_rows: 5", "part_rows: 0"), ["r.yaml:9: run.part_rows: must be greater than or equal to 1"]),
        (GOOD.replace("part_rows: 5", "part_row: 5"), ["r.yaml:9: run.part_row: unknown; did you mean part_rows?"]),
        (GOOD.replace("run:\n  part_rows: 5", "run: 5"), ["r.yaml:8: run: must be a mapping, not 5"]),
        (GOOD.replace("name: strict", "name: Strict"), ["r.yaml:6: steps.1.name: string should match pattern"]),
    ],
)
def test_file_line_place_and_remedy_are_told_when_a_recipe_is_wrong(text, lines):
    said = said_of(text)
    assert len(said) == len(lines)
    for told, expected in zip(said, lines, strict=True):
        assert told.startswith(expected)


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        ("  []\n", "r.yaml:2: steps: must be a list of at least one step"),
        (
            "  - measure_text\n",
            "r.yaml:3: steps.0: must be a mapping with a `kind`: one of develop, develop_on_gpu, draw, measure_text,",
        ),
        (
            "  - {min_words: 3}\n",
            "r.yaml:3: steps.0: has no `kind`; add one of develop, develop_on_gpu, draw, measure_text,",
        ),
        ("  - {kind: 3}\n", "r.yaml:3: steps.0: has no `kind`; add one of"),
        (
            "  - {kind: threshold}\n  - {kind: threshold}\n",
            "r.yaml:4: steps.1: a second step named threshold; give it a `name`",
        ),
        (
            "  - {kind: threshold}\n  - {kind: measure_text, name: threshold}\n",
            "r.yaml:4: steps.1: a second step named threshold; give it a `name`",
        ),
        (
            "  - {kind: write_lines}\n  - {kind: threshold}\n",
            "r.yaml:3: steps.0: write_lines delivers and must be the last step",
        ),
        ("  - {kind: counting, rows: 3}\n", "r.yaml:3: steps.0.kind: unknown kind 'counting'; "),
    ],
)
def test_the_step_is_pointed_at_when_the_steps_are_wrong(steps, line):
    (said,) = said_of(with_steps(steps))
    assert said.startswith(line)


def test_all_mistakes_are_told_at_once_when_there_are_several():
    text = GOOD.replace("rows: 10", "rows: x").replace("min_words: 2", "min_wrods: 2").replace("min: 4", "min: 4.5")
    assert [line.split(":")[1] for line in said_of(text)] == ["2", "5", "6"]


def test_a_recipe_is_refused_when_it_is_no_mapping():
    assert said_of("- a\n") == ["r.yaml: a recipe is a mapping with the keys name, source, steps, run"]
    assert said_of("") == ["r.yaml: a recipe is a mapping with the keys name, source, steps, run"]


def test_the_source_is_missed_when_there_is_none():
    said = said_of("steps: [{kind: threshold}]\n")
    assert said == ["r.yaml:1: source: must be a mapping with a `kind`: one of counting"]


def test_the_override_is_told_by_its_step_when_its_value_is_wrong():
    assert said_of(GOOD, "strict.min=4.5") == ["r.yaml:6: steps.1.min: must be a whole number, not 4.5"]


def test_a_recipe_is_read_from_any_file_system_when_loaded(tmp_path):
    (tmp_path / "r.yaml").write_text(GOOD)
    assert load_recipe(f"file://{tmp_path}/r.yaml", CATALOGUE).name == "words"
    assert load_recipe(str(tmp_path / "r.yaml"), CATALOGUE).origin == str(tmp_path / "r.yaml")


@pytest.mark.parametrize("path", ["missing.yaml", "", "nosuchprotocol://a/r.yaml"])
def test_the_path_is_named_when_a_recipe_cannot_be_read(tmp_path, path):
    given = path if "://" in path else str(tmp_path / path)
    with pytest.raises(RecipeError) as caught:
        load_recipe(given, CATALOGUE)
    assert str(caught.value).startswith(f"{given}: the recipe cannot be read: ")


def test_the_path_is_named_when_a_recipe_is_no_text(tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(RecipeError, match=r"r\.yaml: the recipe cannot be read: 'utf-8' codec"):
        load_recipe(str(tmp_path / "r.yaml"), CATALOGUE)
