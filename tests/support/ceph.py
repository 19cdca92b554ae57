"""A Ceph cluster of one node on loopback, with its S3 gateway: a real server of the kind that runs use.

From Debian: `apt-get install ceph-mon ceph-mgr ceph-osd radosgw`. `make test-s3` does so.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import boto3
from botocore.config import Config
from ports import free_port

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-mgr", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
KEY, SECRET = "testkey", "testsecret"
BUCKET = "runs"
_STARTED_S = 60

_CONFIG = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail crit = 1
admin socket = {folder}/run/$cluster-$name.asok
log file = {folder}/log/$name.log
pid file = {folder}/run/$name.pid
keyring = {folder}/keyring
[mon]
mon data = {folder}/mon
[mgr]
mgr data = {folder}/mgr
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw thread pool size = 64
"""


def missing_programs() -> list[str]:
    """Programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class CephServer:
    """Runs until `close`, on free ports, with all that it writes in a temporary folder; its data is in memory."""

    def __init__(self) -> None:
        # Paths of sockets are short or refused.
        self._folder = Path(tempfile.mkdtemp(prefix="ceph-", dir="/tmp"))
        for name in ("mon", "osd", "mgr", "log", "run"):
            (self._folder / name).mkdir()
        mon_v2, mon_v1, port = free_port(), free_port(), free_port()
        self.options = {"key": KEY, "secret": SECRET, "endpoint_url": f"http://127.0.0.1:{port}"}
        self._fsid = str(uuid.uuid4())
        self._monitors = f"[v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]"
        text = _CONFIG.format(folder=self._folder, fsid=self._fsid, mon_v2=mon_v2, mon_v1=mon_v1, port=port)
        (self._folder / "ceph.conf").write_text(text)
        try:
            self._start()
            self._wait_for_gateway(port)
            self.client = self._client()
            self.client.create_bucket(Bucket=BUCKET)
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self._make_keys()
        config = ("-c", str(self._folder / "ceph.conf"))
        keyring, map_file = str(self._folder / "keyring"), str(self._folder / "monmap")
        _run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", self._monitors, map_file)
        _run("ceph-mon", *config, "-i", "a", "--mkfs", "--monmap", map_file, "--keyring", keyring)
        _run("ceph-mon", *config, "-i", "a")
        _run("ceph", *config, "-s")
        _run("ceph-mgr", *config, "-i", "x")
        osd = str(uuid.uuid4())
        _run("ceph", *config, "osd", "new", osd)
        _run("ceph-osd", *config, "-i", "0", "--mkfs", "--osd-uuid", osd)
        _run("ceph-osd", *config, "-i", "0")
        limit = time.monotonic() + _STARTED_S
        while "1 up" not in _run("ceph", *config, "osd", "stat"):
            assert time.monotonic() < limit, "the OSD did not come up"
            time.sleep(0.3)
        user = ("--uid=test", "--display-name=test", f"--access-key={KEY}", f"--secret={SECRET}")
        _run("radosgw-admin", *config, "user", "create", *user)
        _run("radosgw", *config, "-n", "client.rgw")

    def _make_keys(self) -> None:
        keyring = str(self._folder / "keyring")
        rights = {
            "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
            "mon.": {"mon": "allow *"},
            "client.rgw": {"mon": "allow rw", "osd": "allow rwx", "mgr": "allow rw"},
            "mgr.x": {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"},
            "osd.0": {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"},
        }
        for number, (name, allowed) in enumerate(rights.items()):
            caps = [word for service, right in allowed.items() for word in ("--cap", service, right)]
            create = ("--create-keyring",) if number == 0 else ()
            _run("ceph-authtool", *create, keyring, "--gen-key", "-n", name, *caps)

    def _wait_for_gateway(self, port: int) -> None:
        limit = time.monotonic() + _STARTED_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < limit, "the gateway did not come up"
                time.sleep(0.2)

    def _client(self):
        return boto3.client(
            "s3",
            endpoint_url=self.options["endpoint_url"],
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(retries={"mode": "standard", "total_max_attempts": 8}),
        )

    def close(self) -> None:
        """Ends its processes, each by its own number, and removes its folder."""
        pids = [int(path.read_text()) for path in (self._folder / "run").glob("*.pid") if path.read_text().strip()]
        for pid in pids:
            _end(pid)
        shutil.rmtree(self._folder, ignore_errors=True)


def _run(*command: str) -> str:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment)
    assert done.returncode == 0, f"{' '.join(command[:2])}: {done.stderr[-2000:]}"
    return done.stdout


def _end(pid: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
            limit = time.monotonic() + (1 if number == signal.SIGTERM else 5)
            while time.monotonic() < limit:
                os.kill(pid, 0)
                time.sleep(0.05)
        except ProcessLookupError:
            return
