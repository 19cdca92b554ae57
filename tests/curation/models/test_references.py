import json

import pytest

from curation.errors import RecipeError
from curation.models.references import EMBEDDED, check_reference, parse_reference


def _folder(tmp_path, config="open_clip_config.json", body=None, weights=True):
    (tmp_path / config).write_text(json.dumps({"model_cfg": {}} if body is None else body))
    if weights:
        (tmp_path / "model.safetensors").write_bytes(b"")
    return f"local-dir:{tmp_path}"


@pytest.mark.parametrize(("text", "kind"), [("embedded:clip", "clip"), ("embedded:captioner", "captioner")])
def test_embedded_models_are_whole_when_checked(text, kind):
    assert check_reference(text, kind).folder == EMBEDDED[kind]


@pytest.mark.parametrize(
    ("text", "scheme", "name", "tag"),
    [
        ("hf-hub:laion/CLIP-ViT-B-32", "hf-hub", "laion/CLIP-ViT-B-32", None),
        ("ViT-L-14/datacomp_xl_s13b_b90k", "open_clip", "ViT-L-14", "datacomp_xl_s13b_b90k"),
        ("ViT-B-32-quickgelu/openai", "open_clip", "ViT-B-32-quickgelu", "openai"),
    ],
)
def test_parts_are_found_when_a_reference_is_right(text, scheme, name, tag):
    reference = check_reference(text, "clip")
    assert (reference.scheme, reference.name, reference.tag) == (scheme, name, tag)
    assert reference.folder is None


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("embedded:clipp", "clip", "did you mean clip"),
        ("embeded:clip", "clip", "did you mean embedded"),
        ("local-dir:/no/such/folder", "clip", "there is no folder /no/such/folder"),
        ("hf-hub:name", "captioner", "hf-hub:organisation/name"),
        ("ViT-L14/openai", "clip", "did you mean ViT-L-14"),
        ("ViT-L-14/datacomp_xl_s13b_b90", "clip", "did you mean datacomp_xl_s13b_b90k"),
        ("ViT-B-32-quickgelu/laion2b_s34b_b79k", "clip", "has no pretrained tag 'laion2b_s34b_b79k'"),
        ("ViT-L-14", "clip", "not a model reference"),
        ("ViT-L-14/openai", "captioner", "not a model reference"),
        ("embedded:captioner", "clip", "it holds a captioner"),
        ("embedded:clip", "captioner", "it holds a clip"),
    ],
)
def test_recipe_error_names_the_remedy_when_a_reference_is_wrong(text, kind, message):
    with pytest.raises(RecipeError) as caught:
        check_reference(text, kind)
    assert message in str(caught.value)
    assert text in str(caught.value)


def test_a_folder_is_taken_when_it_is_whole(tmp_path):
    assert check_reference(_folder(tmp_path), "clip").folder == tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": False}, "no weights"),
        ({"body": {}}, "no model_cfg"),
        ({"config": "x.json"}, "has no open_clip"),
    ],
)
def test_recipe_error_when_a_folder_lacks_something(tmp_path, options, message):
    with pytest.raises(RecipeError, match=message):
        check_reference(_folder(tmp_path, **options), "clip")


def test_recipe_error_when_a_config_is_not_json(tmp_path):
    text = _folder(tmp_path, config="config.json")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RecipeError, match="is not JSON"):
        check_reference(text, "captioner")


def test_torch_is_not_imported_when_references_are_checked():
    import subprocess
    import sys

    program = (
        "import sys; from curation.models.references import check_reference as c; "
        "c('embedded:clip', 'clip'); c('ViT-L-14/openai', 'clip'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_nothing_is_looked_up_when_a_reference_is_only_parsed():
    assert parse_reference("local-dir:/no/such/folder", "clip").name == "/no/such/folder"
