"""WHIP in and WHEP out with aiortc, an implementation that shares no code with Crosspoint."""

import unittest

import numpy

from harness import MovingBar, Server, Tone, frames, new_peer, token


class WhipAndWhep(unittest.IsolatedAsyncioTestCase):
    async def test_a_whip_publisher_is_seen_and_heard_by_whep_players(self):
        async with Server() as server:
            publisher = new_peer()
            publisher.addTrack(Tone())
            publisher.addTrack(MovingBar())
            session = await server.post("/whip/stage", publisher, token("stage", "camera"))

            for player_name in ("one", None):
                player = new_peer()
                player.addTransceiver("audio", direction="recvonly")
                player.addTransceiver("video", direction="recvonly")
                tracks = {}
                player.on("track", lambda track, into=tracks: into.__setitem__(track.kind, track))
                jwt = token("stage", player_name)
                viewing = await server.post("/whep/stage", player, jwt)
                pictures = await frames(tracks["video"], 30)
                self.assertEqual((pictures[-1].width, pictures[-1].height), (320, 240))
                first = pictures[0].to_ndarray(format="gray")
                last = pictures[-1].to_ndarray(format="gray")
                self.assertGreater(numpy.abs(first.astype(int) - last).mean(), 1.0, "it moves")
                sounds = await frames(tracks["audio"], 100)
                wave = numpy.concatenate([s.to_ndarray().reshape(-1) for s in sounds[50:]])
                self.assertGreater(numpy.abs(wave).max(), 5_000, "the tone is heard")
                await self.delete(server, viewing, jwt)
                await player.close()

            await self.delete(server, session, token("stage", "camera"))
            await publisher.close()

    async def test_an_ended_whip_session_is_gone(self):
        async with Server() as server:
            publisher = new_peer()
            publisher.addTrack(Tone())
            jwt = token("stage", "camera")
            session = await server.post("/whip/stage", publisher, jwt)
            await self.delete(server, session, jwt)
            async with server.http.delete(
                session, headers={"authorization": f"Bearer {jwt}"}
            ) as response:
                self.assertEqual(response.status, 404)
            await publisher.close()

    async def test_a_bad_token_is_refused(self):
        async with Server() as server:
            for jwt, expected in (("nonsense", 401), (token("elsewhere", "x"), 403)):
                async with server.http.post(
                    f"{server.url}/whip/stage",
                    data="v=0\r\n",
                    headers={"content-type": "application/sdp", "authorization": f"Bearer {jwt}"},
                ) as response:
                    self.assertEqual(response.status, expected)
                    self.assertEqual(response.content_type, "application/problem+json")

    async def delete(self, server, session, jwt):
        async with server.http.delete(
            session, headers={"authorization": f"Bearer {jwt}"}
        ) as response:
            self.assertEqual(response.status, 200)


if __name__ == "__main__":
    unittest.main()
