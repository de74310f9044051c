// Calls over links that lose packets, in Chromium.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openLink } from "./link.mjs";
import { ONE_WORKER, chromium, server, setStage } from "./stage.mjs";
import { account, clock, lasts, openPublisher, openViewer, settles } from "./watching.mjs";

describe("a call over links that lose packets", () => {
  setStage(ONE_WORKER);

  /** What the viewer notes in `seconds` of loss on its own link, both ways. */
  async function suffer(room, way, seconds) {
    const link = await openLink(server.udpPort, { delayMs: way.delayMs });
    const ann = await openPublisher(chromium, server, { room });
    const bob = await openViewer(chromium, server, { room, link });
    await settles(bob);
    link.set(way);
    // Buffers adapt to loss when they meet it.
    await lasts(bob, 3000);
    const since = await clock(bob);
    await lasts(bob, seconds * 1000);
    const seen = await account(bob, since);
    await Promise.all([ann.close(), bob.close(), link.stop()]);
    return { ...seen, told: JSON.stringify(seen) };
  }

  it("of which a tenth are lost is seen without a freeze and heard whole", async () => {
    const { frames, longestFreezeMs, concealed, told } = await suffer("tenth", { delayMs: 25, loss: 0.1 }, 15);
    assert.ok(frames > 15 * 10, told);
    assert.ok(longestFreezeMs <= 500, told);
    assert.ok(concealed <= 0.01, told);
  });

  it("of which a fifth are lost goes on", async () => {
    const { frames, concealed, told } = await suffer("fifth", { delayMs: 50, loss: 0.2 }, 15);
    assert.ok(frames > 15 * 8, told);
    assert.ok(concealed <= 0.02, told);
  });
});
