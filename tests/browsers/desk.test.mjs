// Desk, tried as a new user would: queue, answer, hold, keypad, transfer, third party, supervision.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { desk, frames, gone, hears, press, says, sees, setDesk, shot, sound, stands, state, talk } from "./desk.mjs";
import { until } from "./server.mjs";

describe("Desk", () => {
  setDesk();
  const as = (user) => desk.as(user);

  it("lets customers wait, an agent answer, hold, press keys, write and take a picture", async () => {
    const customer = await as("customer1");
    await shot(customer, "customer");
    await press(customer, "Video call to service");
    await says(customer, /number 1 in the queue/);
    const second = await as("customer2");
    await press(second, "Call service");
    await says(second, /number 2 in the queue/);
    await shot(second, "queue");

    const alice = await as("alice");
    await says(alice, /customer1 is calling with video/);
    await shot(alice, "ring");
    await says(customer, /An agent’s phone rings/);
    await press(alice, "Answer with video");
    await says(second, /number 1 in the queue/);
    await Promise.all([sees(customer, "alice"), sees(alice, "customer1"), hears(customer, "alice"), hears(alice, "customer1")]);
    await until(async () => (await state(alice)).call?.state === "active", "the agent's call to be active");
    await shot(alice, "talk");
    await shot(customer, "talk-customer");

    const offers = await alice.evaluate(() => window.offers);
    await press(alice, "Put on hold");
    await says(customer, /You are on hold/);
    await says(alice, /On hold/);
    await stands(() => frames(customer, "alice"), "nothing to be seen on hold");
    await shot(alice, "hold");
    await press(alice, "Take off hold");
    await Promise.all([sees(customer, "alice"), sees(alice, "customer1")]);
    assert.equal(await alice.evaluate(() => window.offers), offers, "without renegotiation");

    await press(alice, "Keypad");
    for (const digit of ["4", "2", "#"]) await press(alice, digit);
    await until(async () => (await state(customer)).digits === "42#", "the digits");
    await press(alice, "Keypad");

    await alice.page.getByLabel("Write a message").fill("Hello, what can I do?");
    await alice.page.keyboard.press("Enter");
    await says(customer, /what can I do\?/);
    await customer.page.getByLabel("Write a message").fill("Look at this.");
    await customer.page.keyboard.press("Enter");
    await says(alice, /Look at this\./);
    await press(alice, "Take a picture of the customer");
    await until(() => alice.evaluate(() => (document.querySelector(".chat-bubble img")?.naturalWidth ?? 0) > 100), "the picture");
    await shot(alice, "conversation");

    await press(customer, "Hang up");
    await says(customer, /You ended the call/);
    await says(alice, /The other side ended the call|is calling/);
    // The next one's turn has come.
    await says(alice, /customer2 is calling/);
    await press(alice, "Reject");
    await says(alice, /Ready for the next call/);
    await press(second, "Hang up");
    await gone(customer, second, alice);
  });

  it("hands a call over, asked and at once, with a gap below a second, and asks a third party", async () => {
    const alice = await as("alice");
    const customer = await as("customer1");
    await talk(customer, alice);
    const bob = await as("bob");

    await press(alice, "Transfer");
    await press(alice, "Ask bob to take over");
    await says(bob, /alice asks you to take over/);
    await shot(bob, "asked");
    // How long the customer sees nobody: looked at with every frame.
    await customer.evaluate(() => {
      const seen = (window.seen = { last: performance.now(), gap: 0 });
      const look = () => {
        const now = performance.now();
        const pictures = [...document.querySelectorAll(".tile:not([data-self]) video")];
        const total = pictures.reduce((sum, video) => sum + video.getVideoPlaybackQuality().totalVideoFrames, 0);
        if (total !== seen.total) {
          seen.gap = Math.max(seen.gap, now - seen.last);
          seen.last = now;
          seen.total = total;
        }
        if (window.seen === seen) setTimeout(look, 20);
      };
      look();
    });
    await press(bob, "Take over");
    await says(alice, /The call was handed over/);
    await sees(customer, "bob");
    const gap = await customer.evaluate(() => window.seen.gap);
    assert.ok(gap < 1_000, `the customer saw nothing for ${gap.toFixed(0)} ms`);

    await press(bob, "Add a third party");
    await press(bob, "Ask alice to join");
    await says(alice, /bob asks you to join/);
    await press(alice, "Join");
    await Promise.all([sees(customer, "alice"), sees(customer, "bob"), sees(alice, "customer1"), sees(bob, "alice")]);
    await shot(bob, "third");
    await press(bob, "Remove the third party");
    await says(alice, /Ready for the next call|taken out of the call/);
    await until(async () => (await state(customer)).call?.participants.length === 2, "two to be left");

    await press(bob, "Transfer");
    await press(bob, "Hand over to alice at once");
    await says(alice, /customer1 is calling|bob is calling/);
    await alice.page.getByRole("button", { name: /^Answer/ }).first().click();
    await says(bob, /The call was handed over/);
    await sees(customer, "alice");
    await press(alice, "Hang up");
    await says(customer, /The other side ended the call/);
    await gone(alice, bob, customer);
  });

  it("lets a supervisor watch, listen unseen, whisper to the agent, barge in and end", async () => {
    const alice = await as("alice");
    const customer = await as("customer1");
    await talk(customer, alice);
    const sam = await as("sam");
    await says(sam, /customer1[\s\S]*alice[\s\S]*Talking/);
    const before = (await state(customer)).call.participants.length;

    await press(sam, "Listen to the call of customer1");
    await says(sam, /You are listening, unseen/);
    await Promise.all([sees(sam, "customer1"), sees(sam, "alice"), hears(sam, "customer1")]);
    await shot(sam, "wall");
    assert.equal((await state(customer)).call.participants.length, before);
    const others = () => customer.evaluate(() => [...globalThis.crosspoint.phone.room.participants.keys()]);
    assert.deepEqual(await others(), ["alice"]);

    await press(sam, "Whisper");
    await says(sam, /Only the agent hears you/);
    await hears(alice, "sam");
    assert.equal(await sound(customer, "sam"), 0, "the customer hears no whisper");

    await press(sam, "Barge in");
    await says(sam, /Everyone hears you/);
    await hears(customer, "sam");
    await until(async () => (await others()).includes("sam"), "the customer to see that sam is there");
    await shot(customer, "barged");
    await press(sam, "End the call");
    await says(customer, /A supervisor ended the call/);
    await says(alice, /A supervisor ended the call/);
    await says(sam, /There are no calls in your groups now/);
    await gone(alice, customer, sam);
  });

  it("speaks Chinese, fits a telephone, and says what is wrong with a token", async () => {
    const opened = await desk.chromium.open(`${desk.server.url}/desk#token=nonsense&role=agent`);
    const who = { ...opened, user: "nobody" };
    await who.page.setViewportSize({ width: 390, height: 844 });
    await who.page.emulateMedia({ colorScheme: "dark" });
    await says(who, /does not accept this token/);
    await press(who, "Switch to Chinese");
    await says(who, /今天你是谁/);
    await says(who, /服务器不接受此令牌/);
    const wide = await who.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 390, `${wide} px wide`);
    await shot(who, "start-phone-dark-zh");
    await who.close();
  });
});
