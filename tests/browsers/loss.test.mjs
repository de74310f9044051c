// A call over a path that loses a tenth: what the server reports of it beside what browsers count, and
// what is recorded of it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { startChromium } from "./chromium.mjs";
import { ADVERTISED, startLossyPath } from "./lossy.mjs";
import { KEEP_PEERS, sees } from "./people.mjs";
import { startServer, until } from "./server.mjs";

const run = promisify(execFile);

let server, chromium, path, data;

before(async () => {
  data = mkdtempSync(join(tmpdir(), "crosspoint-loss-"));
  server = await startServer({
    CROSSPOINT_DATA_DIR: data,
    CROSSPOINT_MEDIA_ADDRESSES: ADVERTISED,
    CROSSPOINT_MEDIA_LISTEN: "127.0.0.1",
    CROSSPOINT_MEDIA_TCP: "false",
    CROSSPOINT_MEDIA_WORKERS: "1",
  });
  path = await startLossyPath(server.udpPort);
  chromium = await startChromium();
});
after(async () => {
  await chromium?.stop();
  path?.stop();
  await server?.stop();
  rmSync(data, { recursive: true, force: true });
});

/** Packets that were lost so far as a browser counts them: `{senders: {audio, video}, receivers: ...}`. */
const counted = (page) => page.evaluate(async () => {
  const sums = { senders: { audio: 0, video: 0 }, receivers: { audio: 0, video: 0 } };
  for (const peer of window.peers) {
    for (const entry of (await peer.getStats()).values()) {
      const side = { "inbound-rtp": "receivers", "remote-inbound-rtp": "senders" }[entry.type];
      if (side) sums[side][entry.kind] += entry.packetsLost ?? 0;
    }
  }
  return sums;
});

/** The same as the server reports it. */
async function reported(identity) {
  const { participants } = await server.api("GET", "/v1/rooms/lossy/reports");
  const report = participants.find((found) => found.identity === identity);
  const sum = (side, kind) => report[side]
    .filter((stat) => stat.kind === kind)
    .reduce((total, stat) => total + stat.packetsLost, 0);
  const both = (side) => ({ audio: sum(side, "audio"), video: sum(side, "video") });
  return { senders: both("senders"), receivers: both("receivers") };
}

describe("a path that loses a tenth", () => {
  it("is reported as browsers count it, and recorded so that everything decodes", async () => {
    const ann = await chromium.open(await server.meet("lossy", "ann"), KEEP_PEERS);
    const bob = await chromium.open(await server.meet("lossy", "bob"), KEEP_PEERS);
    await sees(ann, ["bob"]);
    await sees(bob, ["ann"]);
    const { id } = await server.api("POST", "/v1/rooms/lossy/recordings", {});
    await until(async () => (await server.api("GET", `/v1/recordings/${id}`)).files.length === 4, "all tracks");
    path.loss = 0.1;
    await until(() => path.lost > 700, "many packets to be lost", 60);
    path.loss = 0;

    // Reports come each second for pictures and each five for sound: then both know everything.
    for (const [page, identity] of [[ann, "ann"], [bob, "bob"]]) {
      for (const side of ["senders", "receivers"]) {
        for (const kind of ["audio", "video"]) {
          let figures;
          await until(async () => {
            const [server, browser] = [await reported(identity), await counted(page)];
            figures = [server[side][kind], browser[side][kind]];
            return figures[1] > 10 && Math.abs(figures[0] - figures[1]) <= 0.05 * figures[1];
          }, `loss of ${side} ${kind}`, 20).catch(() => {});
          console.log(`${identity} ${side} ${kind}: server ${figures[0]}, browser ${figures[1]} lost`);
          assert.ok(figures[1] > 10, `only ${figures[1]} were lost`);
          assert.ok(Math.abs(figures[0] - figures[1]) <= 0.05 * figures[1], `${figures}`);
        }
      }
    }

    await server.api("POST", `/v1/recordings/${id}/stop`, {});
    const recording = await until(async () => {
      const found = await server.api("GET", `/v1/recordings/${id}`);
      return found.state === "ready" && found;
    }, "the recording");
    await Promise.all([ann, bob].map((page) => page.close()));
    for (const file of recording.files) {
      const path = join(data, "recordings", id, file.name);
      const { stderr } = await run("ffmpeg", ["-nostdin", "-v", "error", "-xerror", "-i", path,
        "-fps_mode", "passthrough", "-enc_time_base:v", "-1", "-f", "null", "-"]);
      assert.equal(stderr, "");
    }
    for (const track of recording.tracks) {
      // What repair did not bring is in a gap, and nothing else is.
      const inGaps = track.gaps.reduce((sum, gap) => sum + gap.packets, 0);
      assert.equal(inGaps, track.lostPackets, JSON.stringify(track.gaps));
    }
  });
});
