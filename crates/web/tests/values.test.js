import assert from "node:assert/strict";
import { test } from "node:test";
import { Emitter } from "../sdk/emitter.js";
import { deviceError } from "../sdk/errors.js";
import { decodeMessage, encodeMessage, fromBase64, toBase64 } from "../sdk/messages.js";

test("text and bytes survive the way of a message", () => {
  const text = decodeMessage(JSON.stringify(encodeMessage("grüß 你好", { topic: "chat", to: ["bob"] })));
  assert.deepEqual(text, { topic: "chat", text: "grüß 你好", to: ["bob"] });
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const data = decodeMessage(JSON.stringify(encodeMessage(bytes, {})));
  assert.deepEqual(fromBase64(data?.data ?? ""), bytes);
  assert.equal(toBase64(new Uint8Array()), "");
});

test("a message is measured in bytes, not characters", () => {
  assert.ok(encodeMessage("x".repeat(65536), {}));
  assert.throws(() => encodeMessage("你".repeat(22000), {}), { type: "too_large" });
  assert.throws(() => encodeMessage(new Uint8Array(65537), {}), { type: "too_large" });
});

test("what is no message is ignored", () => {
  for (const data of ["", "{", "null", "3", new ArrayBuffer(2)]) assert.equal(decodeMessage(data), null);
  assert.equal(fromBase64("%"), null);
});

/** @param {string} name */
const exception = (name, message = "") => Object.assign(new Error(message), { name });

test("device errors say what is the matter", () => {
  const type = (/** @type {string} */ name, message = "", /** @type {"camera" | "screen"} */ device = "camera") =>
    deviceError(exception(name, message), device).type;
  assert.equal(type("NotAllowedError", "Permission denied"), "device_refused");
  assert.equal(type("NotAllowedError", "Permission denied by system"), "device_refused_by_system");
  assert.equal(type("NotAllowedError", "", "screen"), "screen_refused");
  assert.equal(type("NotFoundError"), "device_missing");
  assert.equal(type("NotReadableError"), "device_in_use");
  assert.equal(type("OverconstrainedError"), "device_missing");
  assert.equal(type("Whatever"), "device_failed");
});

test("listeners come and go without disturbing each other", () => {
  /** @type {Emitter<{ beat: number }>} */
  const emitter = new Emitter();
  /** @type {string[]} */
  const heard = [];
  const off = emitter.on("beat", (n) => heard.push(`a${n}`));
  emitter.once("beat", (n) => {
    heard.push(`once${n}`);
    off();
  });
  emitter.on("beat", (n) => heard.push(`b${n}`));
  emitter.emit("beat", 1);
  emitter.emit("beat", 2);
  assert.deepEqual(heard, ["a1", "once1", "b1", "b2"]);
});

test("a listener that throws does not silence the others", () => {
  /** @type {unknown[]} */
  const reported = [];
  Object.assign(globalThis, { reportError: (/** @type {unknown} */ error) => reported.push(error) });
  /** @type {Emitter<{ beat: number }>} */
  const emitter = new Emitter();
  let heard = 0;
  emitter.on("beat", () => {
    throw new Error("ours");
  });
  emitter.on("beat", (n) => (heard = n));
  emitter.emit("beat", 7);
  assert.equal(heard, 7);
  assert.match(String(reported[0]), /ours/);
});
