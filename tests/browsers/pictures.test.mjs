// Pictures of what Chromium sends in each codec, as anybody may ask for them, and as a judge gets them.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startChromium } from "./chromium.mjs";
import { KEEP_PEERS } from "./people.mjs";
import { SECRET, startServer, token, until } from "./server.mjs";

/** Pictures go here, for people to look at. */
const SHOTS = process.env.SHOTS_DIR;

/** What is painted into the four quarters of the picture, from the top left. */
const QUARTERS = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];
const SIZE = [640, 360];

let server, chromium, judge;

before(async () => {
  judge = await startJudge();
  server = await startServer({
    CROSSPOINT_WEBHOOKS_URLS: `${judge.url}/webhook`,
    CROSSPOINT_WEBHOOKS_ALLOW_PRIVATE: "true",
  });
  chromium = await startChromium();
});
after(async () => {
  await chromium?.stop();
  await server?.stop();
  judge?.stop();
});

/** A page that sends four coloured quarters; the id of its track. */
async function painter(room, options) {
  const page = await chromium.open(`${server.url}/sdk/crosspoint.js`, KEEP_PEERS);
  await page.evaluate(
    async ({ jwt, options, quarters, size: [width, height] }) => {
      const { Room } = await import("/sdk/crosspoint.js");
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const paint = canvas.getContext("2d");
      let frames = 0;
      setInterval(() => {
        quarters.forEach((colour, i) => {
          paint.fillStyle = `rgb(${colour})`;
          paint.fillRect((i % 2) * width / 2, i < 2 ? 0 : height / 2, width / 2, height / 2);
        });
        // Something must change for a frame to be sent.
        paint.fillStyle = frames++ % 2 ? "black" : "grey";
        paint.fillRect(width / 2 - 4, height / 2 - 4, 8, 8);
      }, 50);
      window.room = new Room();
      await window.room.join(location.origin, jwt);
      const [track] = canvas.captureStream(20).getVideoTracks();
      await window.room.localParticipant.publish(track, { source: "camera", ...options });
    },
    { jwt: await token(room, "ada"), options, quarters: QUARTERS, size: SIZE },
  );
  const sid = await until(async () => {
    const { participants } = await server.api("GET", `/v1/rooms/${room}/participants`);
    return participants[0]?.tracks[0]?.sid;
  }, "the track");
  return { page, sid };
}

async function snapshot(room, sid, format) {
  const jwt = await token(room, "admin", { roomAdmin: true });
  const url = `${server.url}/v1/rooms/${room}/tracks/${sid}/snapshot?format=${format}`;
  // The first keyframe of a publisher that has just come may take longer than one request waits.
  return until(async () => {
    const response = await fetch(url, { headers: { authorization: `Bearer ${jwt}` } });
    if (response.status === 503) return null;
    assert.equal(response.status, 200, await response.clone().text());
    return { mime: response.headers.get("content-type"), bytes: Buffer.from(await response.arrayBuffer()) };
  }, `a ${format}`);
}

/** Sizes that a page's encoders make now: less than the camera's until they know what the path carries. */
const encoded = (page) =>
  page.evaluate(async () => {
    const sizes = [];
    for (const peer of window.peers) {
      for (const entry of (await peer.getStats()).values()) {
        if (entry.type === "outbound-rtp" && entry.frameWidth) sizes.push(`${entry.frameWidth}x${entry.frameHeight}`);
      }
    }
    return sizes;
  });

/** Size of a picture and the colours in the middles of its quarters, as a browser sees it. */
const look = (page, { mime, bytes }) =>
  page.evaluate(async ({ mime, base64 }) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: mime }));
    const canvas = new OffscreenCanvas(image.width, image.height);
    const paint = canvas.getContext("2d");
    paint.drawImage(image, 0, 0);
    const at = (x, y) => [...paint.getImageData(x * image.width, y * image.height, 1, 1).data].slice(0, 3);
    const colours = [at(0.25, 0.25), at(0.75, 0.25), at(0.25, 0.75), at(0.75, 0.75)];
    return { size: `${image.width}x${image.height}`, colours };
  }, { mime, base64: bytes.toString("base64") });

function assertPainted(seen, what) {
  seen.colours.forEach((colour, i) => colour.forEach((value, channel) => {
    const expected = QUARTERS[i][channel];
    assert.ok(Math.abs(value - expected) < 60, `${what}: quarter ${i} is ${colour}`);
  }));
}

/** Takes pictures and webhooks; says of each picture that it is to be rejected. */
async function startJudge() {
  const pictures = [];
  const webhooks = [];
  const http = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    const url = new URL(request.url, "http://judge");
    const { authorization, "content-type": mime } = request.headers;
    if (url.pathname === "/webhook") webhooks.push({ authorization, body });
    else pictures.push({ authorization, mime, bytes: body, query: Object.fromEntries(url.searchParams) });
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ verdict: "reject", score: 0.9 }));
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}`,
    pictures,
    webhooks,
    stop: () => http.close(),
  };
}

/** That a body was signed with the server's key, as webhooks are: a JWT with the body's checksum. */
function assertSigned({ authorization, body }) {
  const [header, claims, signature] = authorization.replace(/^Bearer /, "").split(".");
  const expected = createHmac("sha256", SECRET).update(`${header}.${claims}`).digest("base64url");
  assert.equal(signature, expected);
  const { sha256 } = JSON.parse(Buffer.from(claims, "base64url"));
  assert.equal(sha256, createHash("sha256").update(body).digest("base64"));
}

describe("pictures", () => {
  for (const [codec, options] of [
    ["VP8", { codec: "VP8", simulcast: false }],
    ["VP9", { codec: "VP9" }],
    ["VP9 in three layers", { codec: "VP9", scalabilityMode: "L3T3_KEY" }],
    ["H264", { codec: "H264", simulcast: false }],
    ["AV1", { codec: "AV1" }],
  ]) {
    it(`are made of ${codec} in each format`, async () => {
      const room = codec.replaceAll(" ", "-");
      const { page, sid } = await painter(room, options);
      for (const format of ["webp", "jpeg", "png"]) {
        const sent = await encoded(page);
        const picture = await snapshot(room, sid, format);
        assert.equal(picture.mime, `image/${format}`);
        if (SHOTS) {
          mkdirSync(SHOTS, { recursive: true });
          writeFileSync(join(SHOTS, `snapshot-${room}.${format}`), picture.bytes);
        }
        const seen = await look(page, picture);
        assertPainted(seen, `${codec} as ${format}`);
        sent.push(...(await encoded(page)));
        // Layers that nobody watches are not sent.
        const right = sent.includes(seen.size) || options.scalabilityMode;
        assert.ok(right, `${codec} as ${format}: ${seen.size} of ${sent}`);
      }
      await page.close();
    });
  }

  it("go to a judge, whose verdict is an event and a webhook", async () => {
    const { page, sid } = await painter("judged", {});
    const jwt = await token("judged", "admin", { roomAdmin: true });
    const leave = new AbortController();
    const events = await fetch(`${server.url}/v1/events?room=judged`, {
      headers: { authorization: `Bearer ${jwt}` },
      signal: leave.signal,
    });
    let told = "";
    const reading = (async () => {
      for await (const chunk of events.body) told += Buffer.from(chunk).toString();
    })().catch(() => {});
    const wish = { url: `${judge.url}/picture?list=1`, intervalS: 1, format: "jpeg" };
    await server.api("PUT", "/v1/rooms/judged/moderation", wish);

    await until(() => judge.pictures.length >= 2, "two pictures");
    const [picture] = judge.pictures;
    assert.deepEqual(picture.query, { list: "1", room: "judged", identity: "ada", track: sid });
    assert.equal(picture.mime, "image/jpeg");
    assertPainted(await look(page, picture), "for the judge");
    assertSigned({ authorization: picture.authorization, body: picture.bytes });

    await until(() => /moderationVerdict[\s\S]*"reject"/.test(told), "the event");
    const verdict = await until(() => judge.webhooks
      .map((webhook) => ({ ...webhook, json: JSON.parse(webhook.body) }))
      .find(({ json }) => json.event === "moderation_verdict"), "the webhook");
    assertSigned(verdict);
    assert.equal(verdict.json.room.name, "judged");
    assert.equal(verdict.json.participant.identity, "ada");
    assert.equal(verdict.json.moderation.verdict, "reject");

    await server.api("DELETE", "/v1/rooms/judged/moderation");
    const count = judge.pictures.length;
    await new Promise((resolve) => setTimeout(resolve, 2500));
    // One may have been on its way.
    assert.ok(judge.pictures.length <= count + 1);
    leave.abort();
    await reading;
    await page.close();
  });
});

describe("a server without ffmpeg", () => {
  it("has VP8 as WebP, and says what else it needs", async (t) => {
    const bare = await startServer({ PATH: "/nonexistent" });
    t.after(() => bare.stop());
    const page = await chromium.open(await bare.meet("bare", "ada"));
    t.after(() => page.close());
    const jwt = await token("bare", "admin", { roomAdmin: true });
    const sid = await until(async () => {
      const room = await bare.api("GET", "/v1/rooms/bare/participants").catch(() => null);
      return room?.participants[0]?.tracks.find((track) => track.kind === "video")?.sid;
    }, "the track");
    const ask = (format) => fetch(`${bare.url}/v1/rooms/bare/tracks/${sid}/snapshot?format=${format}`, {
      headers: { authorization: `Bearer ${jwt}` },
    });
    await until(async () => (await ask("webp")).status === 200, "a picture");
    const refused = await ask("png");
    assert.equal(refused.status, 503);
    assert.match((await refused.json()).detail, /install ffmpeg/);
  });
});
