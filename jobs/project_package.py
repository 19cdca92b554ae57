"""What travels with a submitted job: the project as it is here, its recipe, and what else is named; no data."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from pathspec import GitIgnoreSpec

from curation.errors import RecipeError

MOST_BYTES = 100_000_000
"""More than this is no project but data, which belongs into an object store."""
RECIPE_FOLDER = "submitted"
"""Where in the package the recipe lies."""
_NEVER = GitIgnoreSpec.from_lines(
    [
        *(".git", ".venv*/", "venv/", "/runs/", "__pycache__/", "*.pyc", ".*_cache/", ".hypothesis/", "*.egg-info/"),
        # What holds secrets by custom: a package lies on every node's disk.
        *(".env", ".env.*", ".envrc", ".netrc", ".pgpass", ".pypirc", ".npmrc", ".git-credentials", ".htpasswd"),
        *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"),
        *(".aws/", ".azure/", ".boto", ".docker/", ".gnupg/", ".kube/", ".ray/", ".s3cfg", ".s3cmd", ".ssh/"),
        *("credentials.json", "service-account*.json", "service_account*.json", "application_default_credentials.json"),
    ]
)
_LISTS = (".gitignore", ".rayignore")
_SOONEST = (1980, 1, 1, 0, 0, 0)
"""Time of every entry: the same files make the same archive, which a cluster that has it need not be sent again."""


def checkout() -> Path | None:
    """The folder of the project, None where it was installed from a package."""
    folder = Path(__file__).resolve().parents[1]
    return folder if (folder / "pyproject.toml").is_file() else None


def project_files(root: Path) -> Iterator[Path]:
    """Yields the files below a folder that .gitignore and .rayignore do not name, in a fixed order."""
    yield from _walk(root, root, ())


def _walk(root: Path, folder: Path, specs: Sequence[tuple[Path, GitIgnoreSpec]]) -> Iterator[Path]:
    for name in _LISTS:
        if (folder / name).is_file():
            lines = (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()
            specs = (*specs, (folder, GitIgnoreSpec.from_lines(lines)))
    for path in sorted(folder.iterdir()):
        if _is_left_out(root, path, specs):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(root, path, specs)
        elif path.is_file():
            yield path


def _is_left_out(root: Path, path: Path, specs: Sequence[tuple[Path, GitIgnoreSpec]]) -> bool:
    """What is never sent, and else what the nearest list says that says anything of the path, as git does it."""
    end = "/" if path.is_dir() and not path.is_symlink() else ""
    if _NEVER.match_file(path.relative_to(root).as_posix() + end):
        return True
    for folder, spec in reversed(specs):
        verdict = spec.check_file(path.relative_to(folder).as_posix() + end).include
        if verdict is not None:
            return verdict
    return False


def named_files(names: Sequence[str], here: Path) -> dict[str, Path]:
    """Files and folders that the user names, by their place in the package: the same as seen from `here`.

    Raises:
        RecipeError: There is no such file, or it lies outside.
    """
    found: dict[str, Path] = {}
    for name in names:
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            raise RecipeError(f"--with {name}: name it as seen from the folder that you are in, without `..`")
        if (here / path).is_dir():
            found.update({file.relative_to(here).as_posix(): file for file in project_files(here / path)})
        elif (here / path).is_file():
            found[path.as_posix()] = here / path
        else:
            raise RecipeError(f"--with {name}: there is no such file or folder in {here}")
    return found


def recipe_place(recipe: str) -> str:
    """Where in the package a recipe lies, whose file keeps its name; without a URL's query: it may hold a signature."""
    path = urlsplit(recipe).path if "://" in recipe else recipe
    return f"{RECIPE_FOLDER}/{PurePosixPath(path).name or 'recipe.yaml'}"


def write_package(archive: Path, files: Mapping[str, Path], texts: Mapping[str, str]) -> None:
    """Writes a zip archive; the same content makes the same bytes.

    Args:
        files: What to pack, by place in the archive.
        texts: Likewise, what is in no file. It comes before a file of the same place.

    Raises:
        RecipeError: Together they are larger than `MOST_BYTES`, with the largest ones.
    """
    sizes = {place: path.stat().st_size for place, path in files.items()}
    if sum(sizes.values()) > MOST_BYTES:
        largest = sorted(sizes, key=lambda place: -sizes[place])[:5]
        told = ", ".join(f"{place} ({sizes[place] / 1e6:.1f} MB)" for place in largest)
        raise RecipeError(
            f"the project would be {sum(sizes.values()) / 1e6:,.0f} MB to send, more than {MOST_BYTES / 1e6:.0f}; "
            f"the largest: {told}. Put data into an object store, and name what need not travel in .rayignore"
        )
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
        for place in sorted({*files, *texts}):
            mode = 0o644 if place in texts else 0o644 | files[place].stat().st_mode & 0o111
            entry = zipfile.ZipInfo(place, _SOONEST)
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, texts[place] if place in texts else files[place].read_bytes())
