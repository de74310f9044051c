// People on the Meet page, in the browsers that people use.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startFirefox } from "./firefox.mjs";
import { KEEP_PEERS, hears, pictures, sees, stats } from "./people.mjs";
import { until } from "./server.mjs";
import { chromium, server, setStage } from "./stage.mjs";

describe("Meet", () => {
  setStage();

  const join = async (browser, room, name) =>
    browser.open(await server.meet(room, name), KEEP_PEERS);

  it("shows and plays two Chromium people to each other, over an AEAD cipher", async () => {
    const ann = await join(chromium, "pair", "ann");
    const bob = await join(chromium, "pair", "bob");
    const rates = { ...(await sees(ann, ["bob"])), ...(await sees(bob, ["ann"])) };
    for (const [name, rate] of Object.entries(rates)) {
      assert.ok(rate >= 20, `${name} is seen at ${rate.toFixed(1)} frames/s`);
    }
    const { width, height } = (await pictures(bob)).ann;
    assert.deepEqual([width, height], [640, 480]);
    await hears(ann);
    await hears(bob);
    assert.match((await stats(ann)).srtpCipher, /AEAD/);
    assert.equal((await bob.evaluate(() => crosspoint.room.stats())).protocol, "udp");
    assert.deepEqual([...ann.errors, ...bob.errors], []);
    await ann.close();
    await bob.close();
  });

  it("shows and plays Chromium to Firefox and back", async () => {
    const firefox = await startFirefox();
    try {
      const ann = await join(chromium, "mixed", "ann");
      const fay = await firefox.open(await server.meet("mixed", "fay"));
      await sees(ann, ["fay"], 30);
      await sees(fay, ["ann"], 30);
      await hears(ann);
      await ann.close();
      await fay.close();
    } finally {
      await firefox.stop();
    }
  });

  it("follows four people who come and go in any order", async () => {
    const pages = {};
    for (const name of ["ann", "bob", "cat"]) pages[name] = await join(chromium, "four", name);
    await Promise.all([
      sees(pages.ann, ["bob", "cat"]),
      sees(pages.bob, ["ann", "cat"]),
      sees(pages.cat, ["ann", "bob"]),
    ]);
    await pages.ann.close();
    pages.dan = await join(chromium, "four", "dan");
    pages.eve = await join(chromium, "four", "eve");
    await Promise.all([
      sees(pages.bob, ["cat", "dan", "eve"]),
      sees(pages.eve, ["bob", "cat", "dan"]),
    ]);
    await until(async () => !("ann" in (await pictures(pages.bob))), "ann to be gone");
    await pages.dan.close();
    pages.ann = await join(chromium, "four", "ann");
    await Promise.all([
      sees(pages.ann, ["bob", "cat", "eve"]),
      sees(pages.cat, ["ann", "bob", "eve"]),
    ]);
    for (const name of ["ann", "bob", "cat", "eve"]) await pages[name].close();
  });

  it("ends a stay with clear words when the server removes someone", async () => {
    const ann = await join(chromium, "kick", "ann");
    const bob = await join(chromium, "kick", "bob");
    await sees(ann, ["bob"]);
    await server.api("DELETE", "/v1/rooms/kick/participants/bob");
    await until(async () => !("bob" in (await pictures(ann))), "bob to be gone");
    const text = await until(
      () => bob.evaluate(() => /removed/i.test(document.body.innerText) && document.body.innerText),
      "words about it",
    );
    assert.match(text, /removed/i);
    await ann.close();
    await bob.close();
  });
});
