"""A Crosspoint server of the test's own, and WHIP/WHEP clients made of aiortc."""

import asyncio
import os
import signal
import socket
import tempfile
import time
from fractions import Fraction

import aiohttp
import jwt
import numpy
from aiortc import (
    AudioStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from av import VideoFrame
from livekit import api

KEY = "testkey"
SECRET = "a-secret-of-the-tests-that-is-long-enough"
BINARY = os.environ.get("SERVER_BINARY", "../../target/release/crosspoint")


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def token(room, identity=None, **grants):
    """A token as an application server mints it, with LiveKit's own package."""
    if identity is None:
        # LiveKit's package makes no tokens without an identity; ours may be.
        claims = {"iss": KEY, "exp": int(time.time()) + 600}
        return jwt.encode({**claims, "video": {"roomJoin": True, "room": room}}, SECRET, "HS256")
    grants = api.VideoGrants(room_join=True, room=room, **grants)
    return api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants).to_jwt()


class Server:
    """The release binary on free loopback ports: `async with Server() as server`."""

    def __init__(self, **env):
        self.env = env

    async def __aenter__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = tempfile.TemporaryDirectory(prefix="crosspoint-test-")
        env = {
            **os.environ,
            "CROSSPOINT_KEYS": f"{KEY}: {SECRET}",
            "CROSSPOINT_HTTP_LISTEN": f"127.0.0.1:{self.port}",
            "CROSSPOINT_MEDIA_UDP_PORT": str(free_port(socket.SOCK_DGRAM)),
            "CROSSPOINT_MEDIA_TCP_PORT": str(free_port()),
            "CROSSPOINT_MEDIA_ADDRESSES": "127.0.0.1",
            "CROSSPOINT_MEDIA_WORKERS": "1",
            "CROSSPOINT_DATA_DIR": self.data.name,
            **self.env,
        }
        self.process = await asyncio.create_subprocess_exec(BINARY, "serve", env=env)
        self.http = aiohttp.ClientSession()
        for _ in range(200):
            if self.process.returncode is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}")
            try:
                async with self.http.get(f"{self.url}/readyz") as response:
                    if response.status == 200:
                        return self
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
        raise RuntimeError("the server is not ready")

    async def __aexit__(self, *_):
        await self.http.close()
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()
        self.data.cleanup()

    async def post(self, path, peer, bearer):
        """Offers `peer` to a WHIP or WHEP endpoint and applies the answer; returns the session URL."""
        await peer.setLocalDescription(await peer.createOffer())
        async with self.http.post(
            self.url + path,
            data=peer.localDescription.sdp,
            headers={"content-type": "application/sdp", "authorization": f"Bearer {bearer}"},
        ) as response:
            body = await response.text()
            assert response.status == 201, f"{response.status} {body}"
            assert response.content_type == "application/sdp", response.content_type
            location = response.headers["location"]
            assert "etag" in response.headers
        await peer.setRemoteDescription(RTCSessionDescription(sdp=body, type="answer"))
        return location if location.startswith("http") else self.url + location


def new_peer():
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


class MovingBar(VideoStreamTrack):
    """A white bar that moves over black: each frame differs from the one before."""

    def __init__(self, width=320, height=240):
        super().__init__()
        self.width, self.height, self.count = width, height, 0

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        picture = numpy.zeros((self.height, self.width, 3), dtype=numpy.uint8)
        x = (self.count * 8) % (self.width - 16)
        picture[:, x : x + 16] = 255
        self.count += 1
        frame = VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """A 440 Hz tone."""

    RATE = 48_000
    SAMPLES = 960

    def __init__(self):
        super().__init__()
        self.position = 0
        self.started = None

    async def recv(self):
        from av import AudioFrame

        loop = asyncio.get_running_loop()
        if self.started is None:
            self.started = loop.time()
        due = self.started + self.position / self.RATE
        await asyncio.sleep(max(0.0, due - loop.time()))
        t = (numpy.arange(self.SAMPLES) + self.position) / self.RATE
        wave = (numpy.sin(2 * numpy.pi * 440 * t) * 12_000).astype(numpy.int16)
        frame = AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self.RATE
        frame.pts, frame.time_base = self.position, Fraction(1, self.RATE)
        self.position += self.SAMPLES
        return frame


async def frames(track, count, seconds=20):
    """The next `count` decoded frames of a track."""
    async with asyncio.timeout(seconds):
        return [await track.recv() for _ in range(count)]
