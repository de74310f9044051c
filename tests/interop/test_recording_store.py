"""Recordings on their way to S3 (moto's server), with connections cut and the server killed."""

import asyncio
import hashlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

BINARY = os.environ.get("SERVER_BINARY", "../../target/release/crosspoint")
BUCKET = "recordings"
SIZES = [1000, 3 << 20, 20 << 20, 41 << 20]


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Faulty:
    """A way to the store on which connections break: each with some probability, after some bytes."""

    def __init__(self, to, seed, probability):
        self.to, self.random, self.probability = to, random.Random(seed), probability
        self.broken = 0

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        breaks = self.random.random() < self.probability
        left = self.random.randrange(0, 6 << 20) if breaks else 1 << 60
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.close()
            return

        async def copy(source, sink, counted):
            nonlocal left
            try:
                while data := await source.read(65536):
                    if counted:
                        left -= len(data)
                        if left < 0:
                            self.broken += 1
                            break
                    sink.write(data)
                    await sink.drain()
            except OSError:
                pass
            for end in (writer, up_writer):
                end.close()

        await asyncio.gather(copy(reader, up_writer, True), copy(up_reader, writer, False))


def seed(folder, n):
    """What a server leaves that was killed when a recording had just ended."""
    recording = f"RC_{n:012d}"
    path = pathlib.Path(folder, "recordings", recording)
    path.mkdir(parents=True)
    files = []
    for index, size in enumerate(SIZES):
        content = random.Random(n * 100 + index).randbytes(size)
        name = f"{index:02d}-camera.webm"
        (path / name).write_bytes(content)
        files.append({
            "name": name, "track": None, "codec": "", "contentType": "video/webm", "offsetMs": 0,
            "durationMs": 0, "bytes": size, "sha256": "", "frames": 0,
        })
    manifest = {
        "version": 1, "id": recording, "room": "demo", "roomSid": "RM_1", "mode": "individual",
        "state": "composing", "reason": "stopped", "startedAt": "", "startedUs": 0, "endedAt": None,
        "durationMs": 0, "bytes": sum(SIZES), "participants": [], "tracks": [], "files": files,
        "progress": None, "target": None,
    }
    (path / "manifest.json").write_text(json.dumps(manifest))
    return recording


def state(folder, recording):
    path = pathlib.Path(folder, "recordings", recording, "manifest.json")
    return json.loads(path.read_text())["state"]


class Store(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.moto_port = free_port()
        self.moto = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.moto_port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{self.moto_port}"
        for _ in range(300):
            try:
                urllib.request.urlopen(url, timeout=1).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.s3 = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a",
            aws_secret_access_key="b", config=Config(retries={"max_attempts": 1}),
        )
        self.data = tempfile.TemporaryDirectory(prefix="crosspoint-store-")

    def tearDown(self):
        self.moto.kill()
        self.moto.wait()
        self.data.cleanup()

    def serve(self, port):
        env = {
            **os.environ,
            "CROSSPOINT_KEYS": "testkey: a-secret-of-the-tests-that-is-long-enough",
            "CROSSPOINT_HTTP_LISTEN": f"127.0.0.1:{free_port()}",
            "CROSSPOINT_MEDIA_UDP_PORT": str(free_port(socket.SOCK_DGRAM)),
            "CROSSPOINT_MEDIA_TCP_PORT": str(free_port()),
            "CROSSPOINT_MEDIA_ADDRESSES": "127.0.0.1",
            "CROSSPOINT_MEDIA_WORKERS": "1",
            "CROSSPOINT_DATA_DIR": self.data.name,
            "CROSSPOINT_RECORDING_TARGET": f"s3://{BUCKET}/calls",
            "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }
        return subprocess.Popen([BINARY, "serve"], env=env)

    async def until(self, condition, what, seconds=120):
        for _ in range(seconds * 10):
            if condition():
                return
            await asyncio.sleep(0.1)
        self.fail(f"waited for {what}")

    def check(self, recording):
        listed = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        sizes = {entry["Key"]: entry["Size"] for entry in listed}
        key = f"calls/{recording}/manifest.json"
        manifest = json.load(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"])
        self.assertEqual(manifest["state"], "ready")
        self.assertEqual(len(manifest["files"]), len(SIZES))
        for file in manifest["files"]:
            key = f"calls/{recording}/{file['name']}"
            self.assertEqual(sizes[key], file["bytes"])
            content = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            self.assertEqual(hashlib.sha256(content).hexdigest(), file["sha256"])
        self.assertEqual(len(sizes), len(SIZES) + 1)
        # Nothing is left half way.
        self.assertEqual(self.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []), [])

    async def test_everything_arrives_though_connections_break_and_the_server_is_killed(self):
        self.s3.create_bucket(Bucket=BUCKET)
        recording = seed(self.data.name, 1)
        way = Faulty(self.moto_port, 7, 0.5)
        await way.start()
        server = self.serve(way.port)
        try:
            for _ in range(3):
                await asyncio.sleep(1.5)
                server.send_signal(signal.SIGKILL)
                server.wait()
                server = self.serve(way.port)
            await self.until(lambda: state(self.data.name, recording) == "ready", "the delivery")
        finally:
            server.kill()
            server.wait()
        self.assertGreater(way.broken, 0)
        self.check(recording)

    async def test_a_store_that_is_away_is_waited_for_and_one_that_refuses_is_told(self):
        recording = seed(self.data.name, 2)
        dead = free_port()
        server = self.serve(dead)
        try:
            await self.until(lambda: state(self.data.name, recording) == "delivering", "a try")
            await asyncio.sleep(3)
            self.assertEqual(state(self.data.name, recording), "delivering")
        finally:
            server.kill()
            server.wait()
        # There is no bucket yet.
        server = self.serve(self.moto_port)
        try:
            await self.until(lambda: state(self.data.name, recording) == "aborted", "the refusal")
        finally:
            server.kill()
            server.wait()
        self.s3.create_bucket(Bucket=BUCKET)
        server = self.serve(self.moto_port)
        try:
            await self.until(lambda: state(self.data.name, recording) == "ready", "the delivery")
        finally:
            server.kill()
            server.wait()
        self.check(recording)


if __name__ == "__main__":
    unittest.main()
