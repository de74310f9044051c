// The best picture that a layout and a policy allow, in Chromium; and why it is as it is.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openLink } from "./link.mjs";
import { KEEP_PEERS, sees } from "./people.mjs";
import { until } from "./server.mjs";
import { ONE_WORKER, chromium, server, setStage } from "./stage.mjs";
import { lasts, latest, openPublisher, openViewer, reason, settles, shows, wish } from "./watching.mjs";

const isSmall = (width) => width > 0 && width <= 480;

setStage(ONE_WORKER);

describe("what is watched", () => {
  it("is as large as its tile, stops when hidden, and the rest stops at its publisher", async () => {
    const room = "tiles";
    const ann = await openPublisher(chromium, server, { room });
    const bob = await openViewer(chromium, server, { room });
    await settles(bob);
    const sent = () =>
      ann.evaluate(() => {
        const { sender } = room.localParticipant.track("camera").transceiver;
        return sender.getParameters().encodings.filter(({ active }) => active).map(({ rid }) => rid);
      });
    const stopsSending = async (...rids) => {
      const from = Date.now();
      await until(async () => String(await sent()) === String(rids), `only ${rids} to be sent`, 5);
      assert.ok(Date.now() - from < 2000, `${Date.now() - from} ms`);
    };
    await wish(bob, { largest: { width: 240, height: 135 } });
    await shows(bob, (width) => width === 240, "the size of a small tile");
    await stopsSending("q");
    assert.equal(await reason(bob), "size");
    await wish(bob, { largest: { width: 480, height: 270 } });
    await shows(bob, (width) => width === 480, "the size of a middling tile");
    await stopsSending("q", "h");
    await wish(bob, { wanted: false });
    await until(async () => {
      const { frames } = await latest(bob);
      await lasts(bob, 700);
      return (await latest(bob)).frames === frames;
    }, "the hidden picture to stop");
    await stopsSending("q");
    await wish(bob, { largest: "best" });
    await settles(bob);
    await Promise.all([ann.close(), bob.close()]);
  });
});

describe("the reason why", () => {
  it("is the true one of the six", async () => {
    const room = "why";
    const link = await openLink(server.udpPort);
    const ann = await openPublisher(chromium, server, { room });
    const bob = await openViewer(chromium, server, { room, link });
    const becomes = (word, seconds = 20) =>
      until(async () => (await reason(bob)) === word, `the reason to be ${word}`, seconds);
    await settles(bob);
    await becomes(null);

    await wish(bob, { largest: "small" });
    await becomes("size");
    await shows(bob, isSmall, "the size that was wished");
    await wish(bob, { largest: "best" });
    await settles(bob);

    await server.api("PATCH", `/v1/rooms/${room}`, { policy: { ceiling: "small" } });
    await becomes("policy");
    await shows(bob, isSmall, "the policy's picture");
    const told = await bob.evaluate(() => window.track.explain());
    assert.equal(told.switches.at(-1).cause, "policy", JSON.stringify(told.switches));
    await server.api("PATCH", `/v1/rooms/${room}`, { policy: {} });
    await settles(bob);

    await ann.evaluate(() => room.localParticipant.setMuted(room.localParticipant.track("camera"), true));
    await becomes("publisher_paused");
    await ann.evaluate(() => room.localParticipant.setMuted(room.localParticipant.track("camera"), false));
    await becomes(null);

    link.set({ kbps: 300 });
    await becomes("bandwidth");
    link.set({ kbps: Infinity });
    await settles(bob);

    // As when its processor or its own link gets tight.
    await ann.evaluate(sendOnly, 2);
    await becomes("layer_missing");
    await ann.evaluate(sendOnly, 3);
    await settles(bob);

    // A publisher that is slow to begin an encoding which is wanted again.
    await wish(bob, { largest: "small" });
    await until(async () => {
      const { layers } = await bob.evaluate(() => window.track.explain());
      return layers.some(({ unwatched }) => unwatched);
    }, "the large picture to be unwatched");
    await ann.evaluate(() => {
      const { setParameters } = RTCRtpSender.prototype;
      RTCRtpSender.prototype.setParameters = async function (...args) {
        await new Promise((resolve) => setTimeout(resolve, 1500));
        return setParameters.apply(this, args);
      };
    });
    await wish(bob, { largest: "best" });
    await becomes("keyframe_wait", 2);
    await settles(bob);
    const { switches } = await bob.evaluate(() => window.track.explain());
    assert.ok(switches.length >= 8 && switches.length <= 20, `${switches.length} switches`);
    await Promise.all([ann.close(), bob.close(), link.stop()]);
  });

  it("stands in the menu of a picture of Meet, where its size can be chosen too", async () => {
    const ann = await chromium.open(await server.meet("menu", "ann"), KEEP_PEERS);
    const bob = await chromium.open(await server.meet("menu", "bob"), KEEP_PEERS);
    await sees(bob, ["ann"]);
    await bob.page.locator("li.tile:not([data-self]) .tile-quality").click({ force: true });
    const dialog = bob.page.locator("dialog.quality-dialog");
    await dialog.locator("[data-reason]").waitFor();
    await dialog.getByRole("radio").nth(2).check();
    await dialog.locator('[data-reason="size"]').waitFor();
    if (process.env.SCREENSHOTS) await bob.screenshot(`${process.env.SCREENSHOTS}/explain.png`);
    await dialog.getByRole("radio").nth(1).check();
    await dialog.locator('[data-reason="none"]').waitFor();
    assert.deepEqual([...ann.errors, ...bob.errors], []);
    await Promise.all([ann.close(), bob.close()]);
  });
});

/** Sends the `count` lowest encodings of the camera at most, whatever the server wants. */
async function sendOnly(count) {
  const { sender } = room.localParticipant.track("camera").transceiver;
  sender.setParameters = (parameters) => {
    parameters.encodings.forEach((encoding, i) => (encoding.active &&= i < count));
    return RTCRtpSender.prototype.setParameters.call(sender, parameters);
  };
  const parameters = sender.getParameters();
  parameters.encodings.forEach((encoding) => (encoding.active = true));
  await sender.setParameters(parameters);
}
