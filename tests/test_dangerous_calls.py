"""Calls by which data becomes code or leaves its folder: none stands in the source, but for those that are listed."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for package in ("schemas", "curation", "stages", "jobs") for path in (ROOT / package).rglob("*.py")
)
MODULES = {"pickle", "_pickle", "cloudpickle", "joblib", "marshal", "dill", "shelve", "jsonpickle", "code", "codeop"}
YAML_LOADERS = {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.Loader", "yaml.UnsafeLoader"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
UNPACKING = {"extractall", "extract", "unpack_archive"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn"}


def dotted(node):
    """`a.b.c` of an expression, as far as it is one."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def names_of(tree):
    """What each name of a file means: `np` is `numpy`, `load` may be `torch.load`."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {
                alias.asname or alias.name.split(".")[0]: alias.name if alias.asname else alias.name.split(".")[0]
                for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_constant(node, value):
    return isinstance(node, ast.Constant) and node.value is value


def wrong_arguments(call, function):
    given = {word.arg: word.value for word in call.keywords}
    for name in ("shell", "allow_pickle", "trust_remote_code"):
        if name in given and not is_constant(given[name], False):
            yield f"{name} that is not False"
    if function == "torch.load" and not is_constant(given.get("weights_only"), True):
        yield "torch.load without weights_only=True"
    if function == "numpy.load" and not is_constant(given.get("allow_pickle"), False):
        yield "numpy.load without allow_pickle=False"
    if function == "tempfile.mktemp":
        yield "a name for a file that others can take first"


def found_in(source):
    """What is wrong in a file, as (line, words)."""
    tree = ast.parse(source)
    names = names_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, a.name) for a in node.names if a.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield node.lineno, node.module
        elif isinstance(node, (ast.Attribute, ast.Name)):
            first, _, rest = dotted(node).partition(".")
            full = ".".join(part for part in (names.get(first, first), rest) if part)
            if full in YAML_LOADERS | SHELLS:
                yield node.lineno, full
        elif isinstance(node, ast.Dict):
            yield from (
                (node.lineno, f"{key.value} that is not False")
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
                and key.value in ("trust_remote_code", "allow_pickle")
                and not is_constant(value, False)
            )
        elif isinstance(node, ast.Call):
            first, _, rest = dotted(node.func).partition(".")
            full = ".".join(part for part in (names.get(first, first), rest) if part)
            # `.str.extract` is polars' and takes something out of a text.
            unpacks = isinstance(node.func, ast.Attribute) and node.func.attr in UNPACKING
            if full in BUILTINS or (unpacks and not full.endswith(".str.extract")):
                yield node.lineno, full
            yield from ((node.lineno, what) for what in wrong_arguments(node, full))


def test_nothing_makes_code_of_data_when_the_source_is_searched():
    found = []
    for path in SOURCES:
        source = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(ROOT)}:{line} {what}" for line, what in found_in(source)]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "import joblib as j",
        "def f():\n    import marshal",
        "import torch\ntorch.load('x')",
        "import torch as t\nt.load('x', weights_only=False)",
        "from torch import load as take\ntake('x')",
        "import torch\ntorch.load('x', weights_only=choice)",
        "import numpy as np\nnp.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "from yaml import unsafe_load\nunsafe_load(text)",
        "import yaml\nload = yaml.full_load",
        "eval(text)",
        "exec(text)",
        "import subprocess\nsubprocess.run(text, shell=True)",
        "import subprocess\nsubprocess.Popen(text, shell=flag)",
        "import os\nos.system(text)",
        "from os import popen\npopen(text)",
        "load(x, trust_remote_code=True)",
        "options = {'trust_remote_code': config.trust}",
        "import tarfile\ntarfile.open('x').extractall('y')",
        "import zipfile\nzipfile.ZipFile('x').extract('a', 'y')",
        "import shutil\nshutil.unpack_archive('x')",
        "import tempfile\ntempfile.mktemp()",
    ],
)
def test_a_dangerous_call_is_found_when_it_is_written(source):
    assert list(found_in(source)) != []


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load('x', weights_only=True)",
        "import numpy as np\nnp.load('x', allow_pickle=False)",
        "import yaml\nyaml.safe_load(text)",
        "model.to(device).eval()",
        "polars.col('a').str.extract('x', 1)",
        "load(x, trust_remote_code=False)",
        "import re\nre.compile('x')",
        "import subprocess\nsubprocess.run(['ls'], shell=False)",
    ],
)
def test_nothing_is_found_when_a_call_is_harmless(source):
    assert list(found_in(source)) == []
