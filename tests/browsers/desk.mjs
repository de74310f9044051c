// A started Desk and people at it, for its tests.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import { startChromium } from "./chromium.mjs";
import { KEEP_PEERS } from "./people.mjs";
import { startServer, until } from "./server.mjs";

/** Screenshots go here, for people to look at. */
const SHOTS = process.env.SHOTS_DIR;

/** A server in development mode, where users stand ready, and what tests do with its Desk page. */
export async function startDesk() {
  const server = await startServer({ CROSSPOINT_KEYS: "" });
  const chromium = await startChromium();
  const stop = async () => {
    await chromium.stop();
    await server.stop();
  };

  /** Opens Desk as one of the users that stand ready. */
  const as = async (user) => {
    const opened = await chromium.open(`${server.url}/desk`.replace("127.0.0.1", "localhost"), KEEP_PEERS);
    const who = { ...opened, user };
    await opened.page.locator(`[data-user="${user}"]`).first().click({ timeout: 20_000 });
    await until(() => opened.evaluate(() => document.body.dataset.view === "work"), `${user} to be online`);
    return who;
  };
  return { server, chromium, as, stop };
}

/** Of this file's tests, from their start to their end. */
export let desk;

/** Has it started for the tests of a file or of a `describe`. */
export function setDesk() {
  before(async () => {
    desk = await startDesk();
  });
  after(() => desk?.stop());
}

/** Has a customer call the service with video and an agent answer, until the customer sees the agent. */
export async function talk(customer, agent) {
  await press(customer, "Video call to service");
  await says(agent, new RegExp(`${customer.user} is calling`));
  await press(agent, "Answer with video");
  await sees(customer, agent.user);
}

/** Closes pages, on which nothing may have gone wrong. */
export const gone = async (...who) => {
  for (const each of who) {
    assert.deepEqual(each.errors, [], each.user);
    await each.close();
  }
};
/** Presses a button. */
export const press = (who, name, exact = true) => who.page.getByRole("button", { name, exact }).click();
/** What a page says. */
export const text = (who) => who.evaluate(() => document.body.innerText);
/** Waits until a page says so. */
export const says = (who, words, seconds) => until(async () => words.test(await text(who)), `${who.user} to read ${words}`, seconds);
/** What Desk knows. */
export const state = (who) => who.evaluate(() => globalThis.crosspoint.phone.state);
export const shot = async (who, name) => {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await who.screenshot(join(SHOTS, `desk-${name}.png`));
};

/** Frames that a person has decoded of another's camera. */
export const frames = (who, of) => who.evaluate(async (of) => {
  const room = globalThis.crosspoint.phone.room;
  const slots = (await room?.stats())?.receiving ?? [];
  return slots.find((slot) => slot.kind === "video" && slot.identity === of)?.framesDecoded ?? 0;
}, of);
/** Bytes of sound that a person has received of another. */
export const sound = (who, of) => who.evaluate(async (of) => {
  const room = globalThis.crosspoint.phone.room;
  const slots = (await room?.stats())?.receiving ?? [];
  return slots.filter((slot) => slot.kind === "audio" && slot.identity === of).reduce((sum, slot) => sum + slot.bytes, 0);
}, of);
const grows = async (look, what, by = 1, seconds = 20) => {
  const first = await look();
  await until(async () => (await look()) >= first + by, what, seconds);
};
/** Waits until a count is the same after ten looks. */
export const stands = async (look, what) => {
  const looks = [];
  await until(async () => {
    looks.push(await look());
    return looks.length > 10 && looks.at(-1) === looks.at(-11);
  }, what, 20);
};
export const sees = (who, of) => grows(() => frames(who, of), `${who.user} to see ${of}`, 10);
export const hears = (who, of) => grows(() => sound(who, of), `${who.user} to hear ${of}`, 500);
