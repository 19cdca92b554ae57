"""What a secret looks like, and what is none."""

import json
import logging
import re
import subprocess
import sys
import time
from base64 import b64decode, b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest

from curation import masking
from curation.errors import RecipeError
from curation.masking import (
    is_secret_name,
    mask,
    mask_process,
    masked,
    remember_settings,
    remember_variables,
    was_masked,
)
from curation.recipe.load import parse_recipe
from stages.catalogue import CATALOGUE


@pytest.fixture(autouse=True)
def forgotten():
    """What a test told to remember is forgotten."""
    yield
    masking._known.clear()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("s3://AKID:se/cr+et@bucket/x is gone", "s3://***@bucket/x is gone"),
        ("'https://user:pw@host:8080/a'", "'https://***@host:8080/a'"),
        ("https://token@host/x", "https://***@host/x"),
        ("redis://:pw@host", "redis://***@host"),
        (
            "https://h/a?x=1&X-Amz-Credential=AK%2F1&X-Amz-Signature=ab12&y=2",
            "https://h/a?x=1&X-Amz-Credential=***&X-Amz-Signature=***&y=2",
        ),
        ("https://h/a?se=1&sig=aa%2Fb", "https://h/a?se=1&sig=***"),
        ("https://h/a?token=t#f", "https://h/a?token=***#f"),
        ("GET <https://h/?X-Goog-Signature=ab>", "GET <https://h/?X-Goog-Signature=***>"),
        ("{'secret': 'hush, hush', 'anon': True}", "{'secret': '***', 'anon': True}"),
        ('{"password": "a b"}', '{"password": "***"}'),
        ("AWS_SECRET_ACCESS_KEY=abc/def rest", "AWS_SECRET_ACCESS_KEY=*** rest"),
        ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer ***"),
        ("authorization: Basic dXNlcjpwYXNzd29yZA==", "authorization: Basic ***"),
        ("AKIAABCDEFGHIJKLMNOP", "***"),
        ("hf_abcdefghijklmnopqrst", "***"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "***"),
        ("X-Amz-Security-Token: abc", "X-Amz-Security-Token: ***"),
        ("line 3:\n  secret: hunter2\n  anon: true", "line 3:\n  secret: ***\n  anon: true"),
        ("-----BEGIN RSA PRIVATE KEY-----\nab\n-----END RSA PRIVATE KEY-----\nx", "***\nx"),
    ],
)
def test_a_secret_is_masked_when_it_has_the_form_of_one(text, left):
    assert mask(text) == left
    assert mask(left) == left


@pytest.mark.parametrize(
    "text",
    [
        "http://host:8080/a@b",
        "http://host:8080/watch?v=1&tokens=5",
        "mail to a@b.example",
        "max_new_tokens=40",
        "s3://bucket/key/with@sign",
        "rows 5, tokens: 7",
        "steps.2.max_ratoi: unknown; did you mean max_ratio?",
        "the authority of https://example.org/sig/token/secret.html",
    ],
)
def test_a_text_stays_when_it_only_resembles_a_secret(text):
    assert mask(text) == text


def test_a_value_is_masked_wherever_it_stands_when_the_environment_or_the_recipe_says_what_it_is(monkeypatch):
    monkeypatch.setenv("SHOP_DB_PASSWORD", "correct horse")
    remember_settings(
        {"source": {"storage_options": {"key": "minio-user", "client_kwargs": {"headers": {"X-A": "k3y-9"}}}}}
    )
    remember_settings({"source": {"path": ["https://me:pass-w0rd@host/a?sig=s1gn4ture"]}})
    said = "no: correct horse, minio-user, k3y-9, s1gn4ture, pass-w0rd"
    assert mask(said) == "no: ***, ***, k3y-9, ***, ***", "k3y-9 is shorter than six characters"


@pytest.mark.parametrize("write", [str, repr, quote, quote_plus, json.dumps, lambda value: repr(ValueError(value))])
@pytest.mark.parametrize("value", ["p@ss/w0rd+ x", "a1\\b'c d", 'two\nlines "of it"'])
def test_a_value_is_masked_when_it_is_spelt_otherwise(monkeypatch, write, value):
    monkeypatch.setenv("SHOP_DB_PASSWORD", value)
    said = mask(f"no {write(value)} here")
    assert "***" in said
    assert "w0rd" not in said
    assert "c d" not in said
    assert "lines" not in said


def lower_escapes(value):
    return re.sub("%..", lambda escape: escape[0].lower(), quote(value, safe=""))


def test_a_value_is_masked_when_its_escapes_are_in_lower_case(monkeypatch):
    monkeypatch.setenv("SHOP_DB_PASSWORD", "p@ss/w0rd+ x")
    assert mask(f"no {lower_escapes('p@ss/w0rd+ x')} here") == "no *** here"


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("unpadded", [True, False])
@pytest.mark.parametrize("value", ["p@ss/w0rd+", "hush-hush-", "ünïcödé??>", "1234567~~~8", "123456~~~789"])
def test_a_value_is_masked_when_base64_hides_it_alone(monkeypatch, encode, unpadded, value):
    monkeypatch.setenv("SHOP_DB_PASSWORD", value)
    hidden = encode(value.encode()).decode()
    hidden = hidden.rstrip("=") if unpadded else hidden
    assert mask(f"no {hidden} here") == "no *** here"
    assert masked({"path": f"s3://b/{hidden}"}) == {"path": "s3://b/***"}


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("after", ["", "/", "@h", "@ho", "@host"])
def test_a_value_is_masked_when_base64_hides_it_in_a_longer_text(monkeypatch, encode, before, after):
    value = "p@ss/w0rd+??>"
    monkeypatch.setenv("SHOP_DB_PASSWORD", value)
    said = mask(f"x={encode(f'{before}{value}{after}'.encode()).decode()};")
    assert "***" in said
    left = [piece for piece in re.split(r"[=;*]+", said.removeprefix("x=")) if piece]
    # What is left of it is its neighbours, and no more than a character at either end.
    assert sum(len(piece) for piece in left) * 6 <= (len(before) + len(after)) * 8 + 12
    assert not any(value[place : place + 3].encode() in decoded(piece) for piece in left for place in range(10))


def decoded(piece):
    text = piece.replace("-", "+").replace("_", "/")
    return b"|".join(
        b64decode(text[start:] + "=" * (-len(text[start:]) % 4)) for start in range(4) if len(text[start:]) % 4 != 1
    )


@pytest.mark.parametrize("name", ["PGPASSWORD", "SSHPASS", "HF_TOKEN", "MYSQL_PWD"])
def test_a_variable_holds_a_secret_when_it_is_called_so(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("AWS_ENDPOINT_URL", "http://10.0.0.5:9000"),
        ("AWS_ENDPOINT_URL_S3", "https://store.example.org/"),
        ("SHOP_ENDPOINT", "store.example.org"),
        ("AWS_PROFILE", "production"),
        ("GOOGLE_CLOUD_PROJECT", "pairs-2026"),
        ("AZURE_STORAGE_ACCOUNT_NAME", "pairs2026"),
    ],
)
def test_a_variable_stays_everywhere_when_it_says_where_and_not_with_what_right(name, value):
    remember_variables({name: value})
    assert mask(f"no {value} today") == f"no {value} today"
    assert masked({"path": f"s3://data-{value}/a"}) == {"path": f"s3://data-{value}/a"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MY_LOGIN", "hunter22"),
        ("STORE_ACCOUNT", "pl4nted-acc0unt"),
        ("REGIONAL_ACCESS", "us-east-1-pl4nted"),
        ("HOOK_ENDPOINT", "https://hooks.example.org/services/T0/B0/pl4nted"),
        ("AWS_ENDPOINT_URL", "https://store.example.org/?sig=pl4nted"),
        ("SHOP_REGION", "pl4nted+s3cret"),
    ],
)
def test_a_variable_is_masked_everywhere_when_it_may_be_a_secret_whatever_it_is_called(name, value):
    remember_variables({name: value})
    assert mask(f"no {value} today") == "no *** today"
    assert masked({"path": f"s3://data/{value}/a"}) == {"path": "s3://data/***/a"}


def test_the_password_is_masked_alone_when_a_variable_is_an_endpoint_with_one():
    remember_variables({"AWS_ENDPOINT_URL": "http://me:pl4nted-w0rd@10.0.0.5:9000"})
    assert mask("http://me:pl4nted-w0rd@10.0.0.5:9000 refuses pl4nted-w0rd") == "*** refuses ***"
    assert masked({"x": "pl4nted-w0rd"}) == {"x": "***"}


@pytest.mark.parametrize("piece", ["://", "://a:a", "-eyJ", "secret ", "?a_", "basic ", "-----BEGIN A ", "x-"])
def test_masking_ends_soon_when_a_text_was_made_to_keep_it_busy(piece):
    begun = time.process_time()
    mask(piece * 12_000)
    assert time.process_time() - begun < 3


def test_a_path_stays_when_it_is_the_present_folder(monkeypatch):
    monkeypatch.setenv("PWD", "/home/someone/project")
    assert mask("/home/someone/project/a.csv") == "/home/someone/project/a.csv"


def test_settings_are_masked_by_name_and_by_form_and_conditions_stay():
    settings = {
        "source": {
            "path": "https://a:b@c/d?sig=e",
            "storage_options": {
                "key": "k",
                "secret": "s",
                "anon": False,
                "client_kwargs": {"endpoint_url": "http://u:p@h:1/", "region_name": "eu", "headers": {"X": "y"}},
            },
        },
        "steps": [{"kind": "select", "where": ["token = 'cat'", "max_new_tokens=4"]}],
    }
    assert masked(settings) == {
        "source": {
            "path": "https://***@c/d?sig=***",
            "storage_options": {
                "key": "***",
                "secret": "***",
                "anon": False,
                "client_kwargs": {"endpoint_url": "http://***@h:1/", "region_name": "eu", "headers": {"X": "***"}},
            },
        },
        "steps": settings["steps"],
    }


def test_no_setting_of_a_step_is_taken_for_a_secret_when_its_name_is_looked_at():
    kinds = {**CATALOGUE.sources, **CATALOGUE.stages, **CATALOGUE.exchanges, **CATALOGUE.sinks}
    assert [name for step in kinds.values() for name in step.Config.model_fields if is_secret_name(name)] == []


def test_the_recipe_is_refused_with_place_and_remedy_when_its_secrets_were_masked():
    text = "source:\n  kind: url_table\n  path: https://***@h/a.csv\n  storage_options: {secret: '***'}\nsteps: []\n"
    with pytest.raises(RecipeError) as refused:
        parse_recipe(text, "recipe.yaml", CATALOGUE)
    first, second, *_ = str(refused.value).splitlines()
    assert first.startswith("recipe.yaml:3: source.path: a secret stood here and was masked")
    assert second.startswith("recipe.yaml:4: source.storage_options.secret: a secret stood here")
    assert not was_masked("caption != '***' and url <> 'a***b'")


def test_logs_and_the_last_traceback_show_no_secret_when_a_process_is_masked():
    code = (
        "import logging, sys\n"
        "from curation.masking import mask_process\n"
        "logging.basicConfig(stream=sys.stdout)\n"
        "mask_process(); mask_process()\n"
        "log = logging.getLogger('some.library')\n"
        "log.warning('reading %s', 'https://u:hunter22@h/x')\n"
        "log.warning('%d', 'password=hunter22')\n"
        "try:\n    raise ValueError('secret=hunter22')\n"
        "except ValueError:\n    log.exception('failed', stack_info=True)\n"
        "raise KeyError('https://u:hunter22@h/x')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "hunter22" not in done.stdout + done.stderr
    assert "reading https://***@h/x" in done.stdout
    assert "ValueError: secret=***" in done.stdout
    assert "KeyError: 'https://***@h/x'" in done.stderr
    assert done.returncode == 1


def test_records_reach_handlers_as_before_when_there_is_nothing_to_mask(caplog):
    before = logging.getLogRecordFactory()
    try:
        mask_process()
        logging.getLogger("any").warning("%s rows of %d", "three", 5)
    finally:
        logging.setLogRecordFactory(before)
        sys.excepthook = sys.__excepthook__
    assert caplog.messages == ["three rows of 5"]
