// The emic phonebar's supervisor: listens unnoticed, joins in, ends; by who hears which tone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { INSECURE, logged, run } from "./calls.mjs";
import { does, seat, startEnterprise, talking } from "./phonebar.mjs";
import { until } from "./server.mjs";
import { hasTone, hearsTone, lacksTone } from "./tones.mjs";

let house;

before(async () => {
  house = await startEnterprise();
});
after(() => house?.stop());

/** What a supervisor's verb comes to, by the document's callback. */
async function supervises(page, verb, ccNumber) {
  await run(page, `
window.monitored = new Promise((resolve) => {
let monitorcb = (result)=>{
  if (result ==0) {
    resolve("done") //监控调用成功
  } else {
    resolve("failed") //监控调用失败
  }
}
window.phonebar.${verb}('${ccNumber}', monitorcb)
});
`);
  return page.evaluate(() => window.monitored);
}

test("a supervisor listens unnoticed, joins in, leaves, and ends a call", async () => {
  const [one, two, boss] = await Promise.all([seat(house, "1001", { hz: 600 }), seat(house, "1002", { hz: 900 }), seat(house, "1003", { hz: 1500 })]);
  const ccNumber = await talking(one, two, "1002");
  await logged(boss, "rep 1001 start");
  assert.equal(await boss.evaluate(() => window.rep.ccNumber), ccNumber);
  const states = () => does(boss, "checkMonitorState");
  assert.deepEqual(await states(), { status: 0, ccNumber: "" });
  for (const verb of ["stopCallMonitor", "joinFromMonitor", "exitJoinMonitor", "endCallMonitor"]) {
    assert.equal(await supervises(boss, verb, ccNumber), "failed", `${verb} comes after listening`);
  }
  assert.equal(await supervises(one, "startCallMonitor", ccNumber), "failed", "a plain seat may not");
  await hearsTone(one, 900);
  const before = await Promise.all([one, two].map((page) => page.evaluate(() => window.events.length)));

  assert.equal(await supervises(boss, "startCallMonitor", ccNumber), "done");
  assert.deepEqual(await states(), { status: 1, ccNumber });
  await logged(boss, "answeredPBXCall");
  await Promise.all([hearsTone(boss, 600), hearsTone(boss, 900)]);
  assert.deepEqual(await Promise.all([one, two].map((page) => hasTone(page, 1500))), [false, false]);
  const after = await Promise.all([one, two].map((page) => page.evaluate(() => window.events.length)));
  assert.deepEqual(after, before, "those who talk are told nothing");

  assert.equal(await supervises(boss, "joinFromMonitor", ccNumber), "done");
  await until(async () => (await states()).status === 2, "the three-way");
  await Promise.all([hearsTone(one, 1500), hearsTone(two, 1500)]);
  assert.equal(await supervises(boss, "stopCallMonitor", ccNumber), "failed", "who has joined in leaves by another verb");
  assert.equal(await supervises(boss, "exitJoinMonitor", ccNumber), "done");
  await until(async () => (await states()).status === 0, "the end of the three-way");
  await logged(boss, "endPBXCall");
  await Promise.all([lacksTone(one, 1500), lacksTone(two, 1500)]);
  await Promise.all([hearsTone(one, 900), hearsTone(two, 600)]);

  assert.equal(await supervises(boss, "startCallMonitor", ccNumber), "done");
  assert.equal(await supervises(boss, "stopCallMonitor", ccNumber), "done");
  assert.equal(await supervises(boss, "startCallMonitor", ccNumber), "done");
  assert.equal(await supervises(boss, "endCallMonitor", ccNumber), "done");
  for (const page of [one, two]) assert.equal(await logged(page, "endPBXCall"), "endPBXCall 26");
  await logged(boss, "rep 1001 end");
  await Promise.all([one.close(), two.close(), boss.close()]);
});

test("a supervisor ends calls of the own skill group without listening, and no others", async () => {
  const [one, two, boss, four, five] = await Promise.all(["1001", "1002", "1003", "1004", "1005"].map((un) => seat(house, un)));
  const own = await talking(one, two, "1002");
  const other = await talking(four, five, "1005");
  await logged(boss, "rep 1001 start");
  for (const verb of ["startCallMonitor", "terminateCall"]) {
    assert.equal(await supervises(boss, verb, other), "failed", verb);
  }
  assert.equal(await supervises(boss, "terminateCall", own), "done");
  for (const page of [one, two]) assert.equal(await logged(page, "endPBXCall"), "endPBXCall 26");
  assert.equal(await does(four, "checkSeatState"), 4);
  await does(four, "terminate", other);
  await logged(five, "endPBXCall 25");
  const notices = await boss.evaluate(() => window.log.filter((line) => line.startsWith("rep ")));
  assert.ok(notices.every((line) => line.startsWith("rep 1001 ")), String(notices));
  await Promise.all([one, two, boss, four, five].map((page) => page.close()));
});

test("without a microphone, or a secure page that may have one, there is no call and no listening", async () => {
  const [one, two, boss] = await Promise.all([seat(house, "1001"), seat(house, "1002"), seat(house, "1003")]);
  await boss.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("denied", "NotAllowedError"));
  });
  const ccNumber = await talking(one, two, "1002");
  await logged(boss, "rep 1001 start");
  assert.equal(await supervises(boss, "startCallMonitor", ccNumber), "failed");
  await does(one, "terminate", ccNumber);
  await logged(two, "endPBXCall 25");
  await two.evaluate(() => (window.log.length = 0));
  assert.equal(await does(boss, "call", "1002"), 3);
  await logged(boss, "endPBXCall");
  await until(async () => (await does(two, "checkSeatState")) === 1, "the other side to be left alone");
  const plain = await seat(house, "1004", { host: INSECURE });
  assert.equal(await does(plain, "call", "1002"), 3);
  await logged(plain, "endPBXCall");
  await until(async () => (await does(two, "checkSeatState")) === 1, "the other side to be left alone");
  await Promise.all([one, two, boss, plain].map((page) => page.close()));
});
