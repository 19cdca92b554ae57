"""`curation train`: settings and shards are checked before anything is loaded."""

import pytest
from word_recipes import write_recipe

from curation.errors import RecipeError
from jobs.cli import main
from jobs.train import read_config, shards_of


def said_of(*arguments):
    with pytest.raises(RecipeError) as caught:
        read_config(*arguments)
    return str(caught.value).splitlines()


def test_the_preset_is_changed_when_settings_are_overridden():
    config = read_config(None, "demo", ["steps=7", "data.synthetic_share=0.25", "learning_rate=1e-4"])
    assert (config.steps, config.data.synthetic_share, config.learning_rate) == (7, 0.25, 1e-4)
    assert config.batch_size == read_config(None, "demo", []).batch_size


def test_a_file_counts_when_it_is_given(tmp_path):
    (tmp_path / "t.yaml").write_text("steps: 9\ndata: {synthetic_share: 0.5}\n")
    config = read_config(str(tmp_path / "t.yaml"), "small", ["steps=8"])
    assert (config.steps, config.data.synthetic_share) == (8, 0.5)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("setps=7", "preset small: setps: unknown; did you mean steps?"),
        ("data.synthetic_shar=7", "preset small: data.synthetic_shar: unknown; did you mean synthetic_share?"),
        ("steps=many", "preset small: steps: must be a whole number, not 'many'"),
        ("dat.synthetic_share=7", "--set dat.synthetic_share=7: there is no 'dat'; did you mean 'data'?"),
    ],
)
def test_the_setting_and_the_right_one_are_named_when_an_override_is_wrong(override, line):
    assert said_of(None, "small", [override]) == [line]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("steps: 1\nsetps: 2\n", "t.yaml:2: setps: unknown; did you mean steps?"),
        ("steps: 1\nsteps: 2\n", "t.yaml:2: steps: the key stands here a second time; remove one"),
        ("- 1\n", "t.yaml: training settings are a mapping"),
    ],
)
def test_file_and_line_are_named_when_the_settings_are_wrong(tmp_path, text, line):
    (tmp_path / "t.yaml").write_text(text)
    assert said_of(str(tmp_path / "t.yaml"), "small", []) == [f"{tmp_path}/{line}"]


def test_the_file_is_named_when_it_cannot_be_read(tmp_path):
    (line,) = said_of(str(tmp_path / "none.yaml"), "small", [])
    assert line.startswith(f"{tmp_path}/none.yaml: the settings cannot be read: ")
    (tmp_path / "t.yaml").write_bytes(b"\xff\xfe")
    (line,) = said_of(str(tmp_path / "t.yaml"), "small", [])
    assert line.startswith(f"{tmp_path}/t.yaml: the settings cannot be read: ")


def test_a_mistake_is_told_when_the_file_is_empty(tmp_path):
    (tmp_path / "t.yaml").write_text("")
    assert said_of(str(tmp_path / "t.yaml"), "small", ["setps=3"]) == [
        f"{tmp_path}/t.yaml: setps: unknown; did you mean steps?"
    ]


def test_a_folder_of_tars_is_taken_as_it_is_when_it_holds_no_run(tmp_path):
    assert shards_of(str(tmp_path)) == str(tmp_path)


def test_the_code_is_2_when_a_run_has_delivered_nothing(tmp_path, capsys):
    recipe = str(write_recipe(tmp_path))
    out = str(tmp_path / "out")
    assert main(["run", recipe, "--out", out, "--runner", "in-process"]) == 0
    capsys.readouterr()
    assert main(["train", out, "--out", str(tmp_path / "model")]) == 2
    assert capsys.readouterr().err == f"{out}: this run has no shards yet; finish it with `curation run`\n"
