"""What travels with a job: the project, no data, no secrets, always the same bytes."""

import os
import zipfile

import pytest

from curation.errors import RecipeError
from jobs import project_package
from jobs.project_package import checkout, named_files, project_files, recipe_place, write_package


def made(folder, *places):
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(f"content of {place}")
    return folder


def found(folder):
    return [path.relative_to(folder).as_posix() for path in project_files(folder)]


def test_data_and_secrets_stay_when_a_project_is_listed(tmp_path):
    made(tmp_path, "jobs/a.py", "docs/x.md", ".git/config", ".venv/bin/python", ".venv-duckdb/x", "runs/r/000000.tar")
    made(
        tmp_path, "jobs/__pycache__/a.pyc", ".mypy_cache/x", ".env", ".env.local", "keys/store.pem", "jobs/runs/code.py"
    )

    assert found(tmp_path) == ["docs/x.md", "jobs/a.py", "jobs/runs/code.py"]


def test_keys_and_credentials_stay_when_they_lie_in_a_project(tmp_path):
    made(
        tmp_path, "a.py", "id_rsa", "deploy/id_ed25519", ".git-credentials", ".kube/config", "credentials.json", "x.p12"
    )
    made(tmp_path, ".pypirc", ".npmrc", ".envrc", "gcp/service-account-1.json", ".docker/config.json", ".s3cfg")

    assert found(tmp_path) == ["a.py"]


def test_lists_of_ignored_files_are_obeyed_when_they_lie_at_any_depth(tmp_path):
    made(
        tmp_path, "big/a.parquet", "big/b.parquet", "code/a.py", "code/out/a.txt", "out/a.txt", "notes.txt", "keep.txt"
    )
    (tmp_path / ".gitignore").write_text("*.parquet\n*.txt\n!keep.txt\n")
    (tmp_path / "big" / ".gitignore").write_text("!b.parquet\n")
    (tmp_path / "code" / ".rayignore").write_text("/out/\n")

    assert found(tmp_path) == [
        ".gitignore",
        "big/.gitignore",
        "big/b.parquet",
        "code/.rayignore",
        "code/a.py",
        "keep.txt",
    ]


def test_secrets_stay_when_a_list_would_take_them_along(tmp_path):
    made(tmp_path, ".env", "a.py")
    (tmp_path / ".rayignore").write_text("!.env\n")

    assert found(tmp_path) == [".rayignore", "a.py"]


def test_folders_behind_links_stay_when_a_project_has_some(tmp_path):
    made(tmp_path, "elsewhere/huge.bin", "project/a.py")
    (tmp_path / "project" / "data").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "project" / "gone").symlink_to(tmp_path / "nothing")

    assert found(tmp_path / "project") == ["a.py"]


def test_this_project_has_code_and_recipes_and_no_environment_when_listed():
    places = set(found(checkout()))

    assert {"jobs/curate.py", "jobs/recipes/sandbox.yaml", "pyproject.toml", "constraints.txt"} <= places
    assert not [place for place in places if place.startswith((".venv", ".git/", "runs/")) or place.endswith(".pyc")]


def test_named_files_keep_their_places_when_they_are_added(tmp_path):
    made(tmp_path, "lists/words.txt", "lists/deep/more.txt", "one.txt", "other.txt")

    assert list(named_files(["lists", "one.txt"], tmp_path)) == ["lists/deep/more.txt", "lists/words.txt", "one.txt"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../x", "as seen from the folder"),
        ("/etc/hosts", "as seen from the folder"),
        ("gone.txt", "--with gone.txt: there is no such file"),
    ],
)
def test_named_file_is_refused_when_it_cannot_keep_its_place(tmp_path, name, message):
    with pytest.raises(RecipeError, match=message):
        named_files([name], tmp_path)


def test_archive_is_the_same_when_the_content_is(tmp_path):
    made(tmp_path, "b.py", "a.py")
    files = {"b.py": tmp_path / "b.py", "a.py": tmp_path / "a.py"}
    write_package(tmp_path / "1.zip", files, {"submitted/r.yaml": "name: r"})
    os.utime(tmp_path / "a.py", (1, 1))
    write_package(tmp_path / "2.zip", dict(reversed(files.items())), {"submitted/r.yaml": "name: r"})

    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "1.zip") as package:
        assert package.namelist() == ["a.py", "b.py", "submitted/r.yaml"]
        assert package.read("submitted/r.yaml") == b"name: r"


def test_project_is_refused_with_its_largest_files_when_it_is_mostly_data(tmp_path, monkeypatch):
    monkeypatch.setattr(project_package, "MOST_BYTES", 3_000_000)
    made(tmp_path, "a.py")
    (tmp_path / "big.bin").write_bytes(bytes(4_000_000))

    with pytest.raises(RecipeError, match=r"would be 4 MB to send, more than 3; the largest: big.bin \(4.0 MB\), a.py"):
        write_package(tmp_path / "p.zip", {"a.py": tmp_path / "a.py", "big.bin": tmp_path / "big.bin"}, {})


@pytest.mark.parametrize("recipe", ["mine.yaml", "/somewhere/else/mine.yaml", "s3://bucket/recipes/mine.yaml"])
def test_recipe_keeps_its_name_when_it_travels(recipe):
    assert recipe_place(recipe) == "submitted/mine.yaml"


def test_signature_stays_here_when_a_recipe_with_one_travels():
    assert recipe_place("https://host/mine.yaml?X-Amz-Signature=ab/c") == "submitted/mine.yaml"
