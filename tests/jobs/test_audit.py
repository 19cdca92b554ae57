"""What is found fails the build, what cannot be asked is said: pip-audit itself, against a service on this machine."""

import json
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from curation.errors import RecipeError
from jobs.audit import Accepted, Answer, audit, main, read_accepted

# As OSV tells it: GHSA-462w-v97r-4m45 (CVE-2019-10906), jinja2 before 2.10.1 lets sandboxed templates out.
ESCAPE = {
    "id": "GHSA-462w-v97r-4m45",
    "summary": "Jinja2 sandbox escape via string formatting",
    "aliases": ["CVE-2019-10906", "PYSEC-2019-217"],
    "published": "2019-04-10T14:30:24Z",
    "schema_version": "1.7.0",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.10.1"}]}],
        }
    ],
}


# One of many: GHSA-hmr4-m2h5-33qx (CVE-2020-7471), SQL injection before Django 1.11.28.
INJECTION = {**ESCAPE, "id": "GHSA-hmr4-m2h5-33qx", "summary": "SQL injection", "aliases": ["CVE-2020-7471"]}
KNOWN = {("jinja2", "2.10"): ESCAPE, ("django", "1.8"): INJECTION}


@pytest.fixture(params=[KNOWN])
def service(request):
    """OSV's API for a few advisories."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = request.param.get((asked["package"]["name"], asked["version"]))
            body = json.dumps({"vulns": [found]} if found else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    server.shutdown()
    server.server_close()


def run(tmp_path, url, pins, accepted="[]", *more):
    (tmp_path / "pins.txt").write_text(pins)
    (tmp_path / "accepted.yaml").write_text(accepted)
    given = ["--requirements", str(tmp_path / "pins.txt"), "--accepted", str(tmp_path / "accepted.yaml")]
    return main([*given, "--service", "osv", "--osv-url", url, *more])


def test_the_build_fails_when_a_pinned_package_is_vulnerable(tmp_path, service, capsys):
    assert run(tmp_path, service, "jinja2==2.10\nnumpy==2.2.0\n") == 1
    said = capsys.readouterr().out
    assert "jinja2 2.10: PYSEC-2019-217, CVE-2019-10906, GHSA-462w-v97r-4m45 (fixed in 2.10.1)" in said
    assert "2 packages asked of osv, 1 vulnerabilities" in said


def test_the_build_passes_when_the_finding_is_accepted_or_fixed(tmp_path, service, capsys):
    accepted = "- {id: CVE-2019-10906, reason: no template of strangers is rendered, until: 2100-01-01}\n"
    assert run(tmp_path, service, "jinja2==2.10\n", accepted) == 0
    assert "accepted until 2100-01-01: no template of strangers is rendered" in capsys.readouterr().out
    assert run(tmp_path, service, "jinja2==2.10.1\n") == 0


@pytest.mark.parametrize(("more", "code"), [((), 0), (("--require-answer",), 1)])
def test_it_is_said_that_nothing_was_audited_when_nobody_can_be_asked(tmp_path, capsys, more, code):
    assert run(tmp_path, "http://127.0.0.1:9/v1/query", "jinja2==2.10\n", "[]", *more) == code
    assert "NOT AUDITED: no service that knows vulnerabilities can be reached" in capsys.readouterr().err


@pytest.mark.parametrize("service", [{}], indirect=True)
def test_it_is_said_that_nothing_was_audited_when_the_service_knows_no_vulnerabilities(tmp_path, service, capsys):
    assert run(tmp_path, service, "jinja2==2.10\n", "[]", "--require-answer") == 1
    assert "osv: does not know that django 1.8 is vulnerable" in capsys.readouterr().err


def test_an_acceptance_ends_when_its_day_has_come():
    answer = Answer({("jinja2", "GHSA-1", "CVE-1"): "line"}, 1, ())
    accepted = [Accepted(id="CVE-1", reason="looked into it", until=date(2026, 3, 1))]
    assert audit(answer, accepted, date(2026, 2, 28)) == ([], ["line: accepted until 2026-03-01: looked into it"])
    assert audit(answer, accepted, date(2026, 3, 1)) == (["line"], [])


def test_an_acceptance_is_refused_when_it_gives_no_reason_or_no_end(tmp_path):
    (tmp_path / "a.yaml").write_text("- {id: CVE-1, reason: '', until: 2100-01-01}\n")
    with pytest.raises(RecipeError, match="reason"):
        read_accepted(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("- {id: CVE-1, reason: looked into it}\n")
    with pytest.raises(RecipeError, match="until"):
        read_accepted(tmp_path / "a.yaml")
