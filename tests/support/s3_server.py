"""A server that speaks S3 over a socket, with one bucket."""

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "pictures"


class S3Server:
    """Runs until `close`."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.options = {"key": "k", "secret": "s", "endpoint_url": f"http://{host}:{port}"}
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
        self._server.stop()
