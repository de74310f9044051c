// The native client: what its verbs say on the wire. (Signalling itself is tested with the room's.)

import assert from "node:assert/strict";
import { test } from "node:test";
import { CallVerbs } from "../sdk/calls/verbs.js";

class Recorder extends CallVerbs {
  /** @type {Record<string, unknown>[]} */
  said = [];

  /**
   * @override
   * @param {string} type
   * @param {Record<string, unknown>} [fields]
   */
  async ask(type, fields) {
    this.said.push(JSON.parse(JSON.stringify({ type, ...fields })));
    return { type: "none", groups: ["g"], agents: [], total: 0, user: "carl", message: { id: "m" }, recording: "r" };
  }
}

test("a verb without a call means the one that this device is in", async () => {
  const calls = new Recorder();
  await calls.hold();
  await calls.hold("c1");
  assert.deepEqual(calls.said, [{ type: "hold", call: "current" }, { type: "hold", call: { id: "c1" } }]);
});

test("invitations are the newest, or named", async () => {
  const calls = new Recorder();
  await calls.reject();
  await calls.reject("i1");
  assert.deepEqual(calls.said, [{ type: "reject", invite: "newest" }, { type: "reject", invite: { id: "i1" } }]);
});

test("queries and lists give what the data holds", async () => {
  const calls = new Recorder();
  assert.deepEqual(await calls.listGroups(), ["g"]);
  assert.equal(await calls.snapshotOf("player", "c1"), "carl");
  assert.deepEqual(await calls.sendMessage("hi", { to: "carl" }), { id: "m" });
  assert.equal(await calls.recStart(), "r");
  await calls.ownState();
  await calls.queryCall("c1");
  assert.deepEqual(calls.said.slice(2), [
    { type: "sendMessage", call: "current", to: "carl", contentType: "text/plain", content: "hi" },
    { type: "recStart", call: "current", mode: "mixed" },
    { type: "queryState", scope: "own" },
    { type: "queryState", scope: { call: { id: "c1" } } },
  ]);
});
