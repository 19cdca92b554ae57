"""A server that speaks S3 over a socket, with one bucket."""

import threading

import boto3
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from s3fs import S3FileSystem
from werkzeug.serving import make_server

BUCKET = "pictures"


class _Silent(MotoRequestHandler):
    def log_request(self, *_):
        pass


class S3Server:
    """Runs until `close`.

    It is moto's S3 alone: moto's own server goes through all of its services to find out which one is asked, at each
    request, and tells of it, which takes longer than S3 does.
    """

    def __init__(self) -> None:
        application = create_backend_app("s3")
        self._server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Silent)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.options = {"key": "k", "secret": "s", "endpoint_url": f"http://127.0.0.1:{self._server.server_port}"}
        self._client = boto3.client(
            "s3",
            endpoint_url=self.options["endpoint_url"],
            aws_access_key_id="k",
            aws_secret_access_key="s",
            region_name="us-east-1",
        )
        self._client.create_bucket(Bucket=BUCKET)

    def put(self, key: str, body: bytes, **more: str) -> str:
        """Puts an object into the bucket and returns its URL."""
        self._client.put_object(Bucket=BUCKET, Key=key, Body=body, **more)
        return f"s3://{BUCKET}/{key}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def use_server(server, monkeypatch) -> None:
    """Makes the server the one that this process's clients ask: by the variables that AWS's tools know.

    Args:
        server: Anything with `options` as `S3Server` has them.
    """
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.options["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.options["secret"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.options["endpoint_url"])
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # Else the client of another test's server would be taken for the same.
    S3FileSystem.clear_instance_cache()
