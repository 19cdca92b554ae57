"""`curation versions`, `diff` and `whatif`, over runs that were really made."""

import pytest
from json_documents import document
from word_recipes import write_recipe

from jobs.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions")
    recipe = str(write_recipe(folder))
    run = ["run", recipe, "--out", str(folder / "out"), "--runner", "in-process"]
    assert main([*run, "--set", "select.rules.0.min=3"]) == 0
    assert main(run) == 0
    coarse = ["run", recipe, "--out", str(folder / "coarse"), "--runner", "in-process", "--set", "run.part_rows=7"]
    assert main(coarse) == 0
    return folder


def versions_of(capsys, folder):
    return document(capsys, "versions", str(folder / "out"))["versions"]


def test_versions_are_listed_with_what_changed_when_a_folder_has_several(folder, capsys):
    first, second = versions_of(capsys, folder)
    assert [(v["rows"], v["kept"], v["is_latest"]) for v in (first, second)] == [(20, 8, False), (20, 12, True)]
    assert first["changes"] is None
    assert second["changes"] == ["select.rules.text_words.min: 3.0 -> 2.0"]
    capsys.readouterr()
    assert main(["versions", str(folder / "out")]) == 0
    assert f"{second['fingerprint']} (latest)" in capsys.readouterr().out


def test_two_versions_of_one_folder_are_compared_when_addressed_by_fingerprint(folder, capsys):
    out = str(folder / "out")
    first, second = versions_of(capsys, folder)
    diff = document(capsys, "diff", f"{out}#{first['fingerprint'][:6]}", f"{out}#{second['fingerprint']}")
    assert diff["kept"] == {"before": 8, "after": 12}
    (transition,) = diff["transitions"]
    assert (transition["before"], transition["after"]) == ("rejected(select.min_text_words)", "kept")
    assert transition["rows"] == 4 == diff["changed"]
    assert transition["examples"][0]["detail_before"] == "text_words 2 < 3.0"
    assert {**document(capsys, "diff", out), "before": 0, "after": 0} == {**diff, "before": 0, "after": 0}


def test_nothing_differs_when_the_parts_are_of_another_size(folder, capsys):
    diff = document(capsys, "diff", str(folder / "out"), str(folder / "coarse"))
    assert (diff["same"], diff["transitions"], diff["only_before"], diff["only_after"]) == (20, [], {}, {})


def test_a_version_can_be_looked_into_when_addressed_by_fingerprint(folder, capsys):
    first = versions_of(capsys, folder)[0]["fingerprint"]
    assert document(capsys, "funnel", f"{folder / 'out'}#{first}")["kept"] == 8
    assert document(capsys, "query", f"{folder / 'out'}#{first[:5]}", "SELECT count(*) AS n FROM ledger")["rows"] == [
        {"n": 20}
    ]


def test_the_code_is_2_when_there_is_no_such_version(folder, capsys):
    assert main(["diff", f"{folder / 'out'}#zzzz", str(folder / "out")]) == 2
    assert "there is no such version; `curation versions" in capsys.readouterr().err
    assert main(["diff", f"{folder / 'out'}#", str(folder / "out")]) == 2
    assert main(["diff", str(folder / "coarse")]) == 2
    assert "name two runs or versions; this folder has 1" in capsys.readouterr().err


def test_the_differences_are_shown_when_people_ask(folder, capsys):
    capsys.readouterr()
    assert main(["diff", str(folder / "out")]) == 0
    shown = capsys.readouterr().out
    assert "16 rows ended the same way, 4 otherwise; 8 were kept, 12 are" in shown
    assert "http://example.com/2.jpg" in shown


def test_other_settings_are_tried_when_asked(folder, capsys):
    out = str(folder / "out")
    answer = document(capsys, "whatif", out, "--set", "select.rules.0.min=4", "--examples", "1")
    assert answer["kept"] == {"present": 12, "then": 4}
    assert answer["lost"] == {"rows": 8, "by": {"select.min_text_words": 8}}
    assert len(answer["examples"]["lost"]) == 1
    capsys.readouterr()
    assert main(["whatif", out, "--set", "select.rules.0.min=1"]) == 0
    assert "12 rows are kept, 16 would be: 0 lost, 4 gained" in capsys.readouterr().out


def test_a_rule_is_tried_when_it_is_named_without_the_list_of_rules(folder, capsys):
    out = str(folder / "out")
    assert document(capsys, "whatif", out, "--set", "select.text_words.min=4")["kept"] == {"present": 12, "then": 4}
    capsys.readouterr()
    assert main(["whatif", out, "--set", "select.clip_score.min=0.25"]) == 2
    assert "--set select.clip_score.min=0.25: there is no 'clip_score'" in capsys.readouterr().err


def test_the_code_is_2_when_whatif_would_have_to_measure(folder, capsys):
    assert main(["whatif", str(folder / "out"), "--set", "text_rules.min_words=3"]) == 2
    assert "a run would measure anew: text_rules" in capsys.readouterr().err
