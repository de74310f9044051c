// Desk, what is beside the conversation: coming online with a password, resting, the shared screen, a
// supervisor who ends calls, and what it looks like at night and in Chinese.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { desk, gone, press, says, sees, setDesk, shot, state, talk } from "./desk.mjs";
import { until } from "./server.mjs";

describe("Desk", () => {
  setDesk();
  const as = (user) => desk.as(user);

  /** Somebody who comes in with a password. */
  async function withPassword(user, password, role) {
    const opened = await desk.chromium.open(`${desk.server.url}/desk`.replace("127.0.0.1", "localhost"));
    const who = { ...opened, user };
    const { page } = opened;
    await page.getByText("Use another account").click();
    await page.getByRole("radio", { name: role }).check();
    await page.getByLabel("Tenant").fill("desk");
    await page.getByLabel("User", { exact: true }).fill(user);
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
    return who;
  }

  it("takes a password, and says when it is wrong", async () => {
    const wrong = await withPassword("alice", "guess", "Agent");
    await says(wrong, /The user or the password is wrong/);
    await shot(wrong, "password-wrong");
    const alice = await withPassword("alice", "crosspoint", "Agent");
    await until(() => alice.evaluate(() => document.body.dataset.view === "work"), "alice to be online");
    await says(alice, /Ready for the next call/);
    await gone(wrong, alice);
  });

  it("lets an agent rest and be ready again, and rings nobody who rests", async () => {
    const alice = await as("alice");
    await says(alice, /Ready/);
    await press(alice, "Take a rest");
    await says(alice, /Resting/);
    const customer = await as("customer1");
    await press(customer, "Call service");
    await says(customer, /number 1 in the queue/);
    await shot(alice, "resting");
    assert.equal((await state(alice)).rings.length, 0);
    await press(alice, "Take calls");
    await says(alice, /customer1 is calling/);
    await press(alice, "Reject");
    await press(customer, "Hang up");
    await gone(alice, customer);
  });

  it("shares a screen in a call, by night and in Chinese, and a supervisor ends the call", async () => {
    const alice = await as("alice");
    const customer = await as("customer1");
    const sam = await as("sam");
    await talk(customer, alice);
    await sees(alice, "customer1");
    await press(alice, "Share your screen");
    await until(() => customer.evaluate(() => document.querySelector(".tile[data-screen] video")?.videoWidth > 0), "the shared screen");
    await shot(customer, "screen");
    await shot(alice, "screen-own");
    for (const who of [alice, customer, sam]) {
      await who.page.emulateMedia({ colorScheme: "dark" });
      await press(who, "Switch to Chinese");
    }
    await says(customer, /屏幕/);
    await says(sam, /customer1[\s\S]*alice/);
    await shot(alice, "talk-dark-zh");
    await shot(customer, "screen-dark-zh");
    await shot(sam, "wall-dark-zh");
    for (const who of [alice, customer, sam]) await press(who, "切换到英文");
    await press(alice, "Stop sharing");
    await until(() => customer.evaluate(() => document.querySelector(".tile[data-screen]") === null), "the end of the screen");
    await sees(customer, "alice");

    sam.page.once("dialog", (dialog) => dialog.accept());
    await press(sam, "End the call of customer1");
    await says(customer, /A supervisor ended the call/);
    await says(alice, /A supervisor ended the call/);
    await shot(customer, "ended");
    await gone(alice, customer, sam);
  });
});
