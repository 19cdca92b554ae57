"""Secrets in every place where a run may be given one, and a search of everything that it leaves behind."""

import gzip
import os
import tarfile
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq

PASSWORD, SIGNATURE, BEARER = "pl4nted-passw0rd", "pl4nted-s1gnature", "pl4nted-b3arer-t0ken"
OPTION, VARIABLE, ACCESS_KEY = "pl4nted-0ption-secret", "pl4nted-v4riable", "pl4nted/AWS+secret/k3y"
LOGIN, REGION = "pl4nted-l0gin", "eu-planted-1"
SECRETS = (PASSWORD, SIGNATURE, BEARER, OPTION, VARIABLE, ACCESS_KEY, LOGIN)
BY_NAME = {"SHOP_LOGIN": LOGIN, "AWS_REGION": REGION}
"""What is passed with `--secret`: a secret that is not called so, and what is none."""
ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
    "AWS_ACCESS_KEY_ID": "pl4nted-key-id",
    "SHOP_DB_PASSWORD": VARIABLE,
    **BY_NAME,
}

RECIPE = """
source:
  kind: url_table
  path: http://reader:PASSWORD@127.0.0.1:PORT/pairs.parquet?who=LOGIN&at=REGION&X-Amz-Signature=SIGNATURE
  format: parquet
  storage_options: {client_kwargs: {headers: {X-Api: OPTION, X-More: Bearer BEARER}}}
steps:
  - kind: fetch_images
    allow_public: false
    allow_schemes: [s3]
    storage_options: {s3: {secret: OPTION, endpoint_url: "http://store:PASSWORD@127.0.0.1:PORT"}}
run: {part_rows: 3, max_tries: 1, max_workers: 1}
"""


class SecretiveServer:
    """Serves a table to whoever knows the secrets; refuses `refusals` requests once `refusing()` is true.

    Attributes:
        admitted: Requests with all secrets in them.
        refused: Requests that were refused for no reason.
    """

    def __init__(self, folder: Path, refusing) -> None:
        urls = [f"s3://bucket/{number}.jpg" for number in range(6)]
        pq.write_table(pa.table({"url": urls, "caption": ["a dog"] * 6}), folder / "pairs.parquet")
        body = (folder / "pairs.parquet").read_bytes()
        self.admitted = self.refused = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer._answer(self, body, refusing)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, request, body, refusing):
        told = f"{request.path} {request.headers}"
        knows = SIGNATURE in told and OPTION in told and BEARER in told and "Basic " in told
        self.admitted += knows
        refuse = knows and self.refused < 2 and refusing()
        self.refused += refuse
        request.send_response(200 if knows and not refuse else 403)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def recipe_text(port: int) -> str:
    text = RECIPE.replace("PORT", str(port))
    for name in ("PASSWORD", "SIGNATURE", "BEARER", "OPTION", "LOGIN", "REGION"):
        text = text.replace(name, globals()[name])
    return text


def leaks(folder: Path) -> list[str]:
    """Every file below a folder that holds a planted secret or its Base64: as it is, unpacked, and in its values."""
    found = []
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            texts = list(_texts(path)) if path.is_file() and not path.is_symlink() else []
            found += [
                f"{path}: {secret}"
                for secret in SECRETS
                if any(form in text for form in _forms(secret) for text in texts)
            ]
    return sorted(found)


def _forms(secret: str):
    yield secret.encode()
    for before, mixed in ((0, 0), (1, 2), (2, 3)):
        yield b64encode(bytes(before) + secret.encode())[mixed:].rstrip(b"=")[:-1]


def _texts(path: Path):
    data = path.read_bytes()
    yield data
    if data[:4] == b"PAR1":
        yield str(pq.read_table(path).to_pydict()).encode()
    elif data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    elif path.suffix == ".tar":
        with tarfile.open(path) as tar:
            yield from (tar.extractfile(member).read() for member in tar if member.isreg())
