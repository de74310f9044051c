import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { roleOf, tokenUser } from "../pages/desk/accounts.js";
import { abilities, agentOf, newState, otherSide, reduce } from "../pages/desk/state.js";

/** @import { CallRole, CallView } from "../sdk/calls/types.js" */
/** @import { DeskState } from "../pages/desk/state.js" */

const NOW = 1_000_000;
const person = (/** @type {string} */ user) => ({ user, name: user.toUpperCase(), portraitUri: "", extra: "", extension: "" });
/** @returns {import("../sdk/calls/types.js").CallParticipant} */
const part = (/** @type {string} */ user, /** @type {CallRole} */ role, state = "joining") =>
  ({ person: person(user), role, state: /** @type {any} */ (state), audio: true, video: true, screen: false, held: false });

/** A customer's call that the agent ann has answered. @returns {CallView} */
const answered = () => ({
  id: "c1", kind: "queue", target: { type: "queue", group: "sales" }, media: "video", extra: "", initiator: person("carl"),
  state: "connecting", participants: [part("carl", "guest"), part("ann", "agentMain")], invites: [],
  createdMs: NOW, beginMs: 0, endMs: 0, reason: null, props: { screenShare: null, recording: null },
});

/** @param {DeskState} state @param {...({ type: string } & Record<string, any>)} events */
const after = (state, ...events) => events.reduce((now, event) => reduce(now, event, NOW), state);
const online = (/** @type {any} */ role, /** @type {string} */ me) => after(newState(role), { type: "connected", user: person(me) });
const ring = { type: "inviteReceived", invite: "i1", call: "c1", caller: person("carl"), target: { type: "queue", group: "sales" }, media: "video", ringMs: 60_000 };
const joined = (/** @type {string} */ user, /** @type {CallRole} */ role) => ({ type: "participantJoined", call: "c1", participant: part(user, role, "joined") });
/** The agent ann in a call with the customer carl, media of both up. */
const talking = () => after(online("agent", "ann"), ring, { type: "entered", call: answered() }, { type: "mediaUp", call: "c1" }, joined("carl", "guest"));

describe("the state of Desk", () => {
  test("a ring stays until it is answered, withdrawn or over", () => {
    const rung = after(online("agent", "ann"), ring);
    assert.deepEqual(rung.rings.map(({ call, untilMs }) => [call, untilMs]), [["c1", NOW + 60_000]]);
    assert.deepEqual(after(rung, ring).rings.length, 1, "replayed");
    for (const type of ["inviteCanceled", "inviteTimeout", "inviteRejected", "answeredElsewhere"]) {
      assert.deepEqual(after(rung, { type, invite: "other", call: "c1" }).rings.length, 1, type);
      assert.deepEqual(after(rung, { type, invite: "i1", call: "c1" }).rings, [], type);
    }
    assert.deepEqual(after(rung, { type: "entered", call: answered() }).rings, []);
    assert.deepEqual(after(rung, { type: "callEnded", call: "c1", reason: "cancel", actor: null }).rings, []);
  });

  test("a call is active when the media of two people is up", () => {
    const entered = after(online("agent", "ann"), { type: "entered", call: answered() }, { type: "mediaUp", call: "c1" });
    assert.equal(entered.call?.state, "connecting");
    const active = after(entered, joined("carl", "guest"));
    assert.equal(active.call?.state, "active");
    assert.equal(active.call?.beginMs, NOW);
  });

  test("events of other calls change nothing", () => {
    const state = talking();
    for (const event of [{ ...joined("eve", "member"), call: "c2" }, { type: "dtmfReceived", call: "c2", digit: "1" }, { type: "viewed", call: { ...answered(), id: "c2" } }]) {
      assert.equal(after(state, event), state, event.type);
    }
  });

  test("a customer learns the place in the queue, and that somebody rings", () => {
    const asked = { ...answered(), state: /** @type {const} */ ("creating"), participants: [part("carl", "guest")] };
    const progress = (/** @type {string} */ stage, /** @type {number | null} */ position) => ({ type: "callProgress", call: "c1", stage, position });
    // The first news may precede the reply to the call.
    const waits = after(online("customer", "carl"), progress("routing", 2), { type: "entered", call: asked });
    assert.deepEqual(waits.progress, { stage: "routing", position: 2 });
    assert.deepEqual(after(waits, progress("routing", 1)).progress?.position, 1);
    assert.deepEqual(after(waits, { type: "inviteRinging", call: "c1", invite: "i1" }).progress?.stage, "alerting");
  });

  test("who leads an active call may hold, transfer, record; a customer and a third party may not", () => {
    const agent = abilities(talking());
    for (const name of /** @type {const} */ (["hold", "transfer", "third", "keypad", "snapshot", "record", "screen", "leave"])) assert.ok(agent[name], name);
    for (const name of /** @type {const} */ (["unhold", "cancelTransfer", "removeThird", "quitThird"])) assert.ok(!agent[name], name);
    const customer = abilities(after(online("customer", "carl"), { type: "entered", call: answered() }, { type: "mediaUp", call: "c1" }, joined("ann", "agentMain")));
    for (const name of /** @type {const} */ (["hold", "transfer", "third", "snapshot", "record"])) assert.ok(!customer[name], name);
    assert.ok(customer.keypad && customer.leave);
    assert.ok(!abilities(online("agent", "ann")).leave, "without a call");
  });

  test("hold shows by whom it holds", () => {
    const held = { type: "participantUpdated", call: "c1", participant: { ...part("carl", "guest", "joined"), held: true }, changed: ["held"] };
    const can = abilities(after(talking(), held));
    assert.ok(can.unhold && !can.hold);
  });

  test("a transfer is asked, withdrawn or taken over", () => {
    const update = (/** @type {string} */ state, blind = false) => ({ type: "transferUpdate", call: "c1", state, blind, by: person("ann"), target: person("ben") });
    const asks = after(talking(), update("requested"));
    assert.ok(abilities(asks).cancelTransfer && !abilities(asks).third);
    assert.ok(abilities(after(asks, update("rejected"))).transfer);

    const asked = after(online("agent", "ben"), update("requested"));
    assert.deepEqual(asked.asks.map(({ kind, by }) => [kind, by.user]), [["transfer", "ann"]]);
    assert.deepEqual(after(asked, update("canceled")).asks, []);
    assert.deepEqual(after(online("agent", "ben"), update("requested", true)).asks, [], "a blind transfer rings");
    assert.deepEqual(after(asked, { type: "entered", call: answered() }).asks, []);
  });

  test("a third party is asked, joins, and leaves by its own will or another's", () => {
    const update = (/** @type {string} */ state) => ({ type: "thirdUpdate", call: "c1", state, by: person("ann"), target: person("ben") });
    const main = after(talking(), update("requested"));
    assert.ok(abilities(main).cancelThird);
    assert.ok(abilities(after(main, update("joined"))).removeThird);
    assert.ok(abilities(after(main, update("joined"), update("quit"))).third);

    const call = { ...answered(), participants: [...answered().participants, part("ben", "agentThird")] };
    const third = after(online("agent", "ben"), update("requested"), { type: "entered", call }, { type: "mediaUp", call: "c1" }, joined("carl", "guest"));
    assert.deepEqual(third.third?.by.user, "ann");
    const can = abilities(third);
    assert.ok(can.quitThird && !can.leave && !can.transfer && !can.hold);
  });

  test("the end of a call says why, and takes everything of it away", () => {
    const over = after(talking(), { type: "dtmfReceived", call: "c1", digit: "7" }, { type: "callEnded", call: "c1", reason: "hang_up", actor: { user: "ann", role: "agentMain" }, answered: true, durationMs: 7_000 });
    assert.equal(over.call, null);
    assert.deepEqual(over.ended, { reason: "hang_up", own: true, by: "ann", answered: true, durationMs: 7_000 });
    const next = after(over, { type: "entered", call: { ...answered(), id: "c2" } });
    assert.deepEqual([next.ended, next.digits, next.lines], [null, "", []]);
  });

  test("lines of the conversation are kept once each, and not without bound", () => {
    const said = (/** @type {string} */ id, from = "carl") => ({ type: "message", call: "c1", message: { id, from, scope: "group", contentType: "text/plain", content: "hi", atMs: NOW } });
    const state = after(talking(), said("m1"), said("m1"), said("m2", "ann"));
    assert.deepEqual(state.lines.map(({ key, own }) => [key, own]), [["m1", false], ["m2", true]]);
    let many = state;
    for (let i = 0; i < 600; i += 1) many = after(many, said(`n${i}`));
    assert.equal(many.lines.length, 500);
  });

  test("a supervisor sees seats change, calls come and go, and the own supervision", () => {
    const seats = [{ person: person("ann"), state: /** @type {const} */ ("idle"), group: null }, { person: person("sue"), state: /** @type {const} */ ("idle"), group: null }];
    const looked = after(online("supervisor", "sue"), { type: "looked", seats, wall: [answered()] });
    assert.equal(looked.seat, "idle");
    assert.equal(after(looked, { type: "seatChanged", agent: "ann", old: "idle", new: "ringing" }).seats[0].state, "ringing");
    const listens = after(looked, { type: "monitorUpdate", call: "c1", state: "listening" });
    assert.deepEqual(listens.monitor, { call: "c1", state: "listening" });
    const over = after(listens, { type: "callEnded", call: "c1", reason: "hang_up", actor: null });
    assert.deepEqual([over.monitor, over.wall], [null, []]);
  });

  test("who is lost or turned out knows nothing any more but who it was", () => {
    for (const type of ["lost", "kicked"]) {
      assert.deepEqual(after(talking(), { type }), { ...newState("agent"), me: "ann" });
    }
    assert.equal(after(talking(), { type: "interrupted" }).link, "interrupted");
  });
});

test("the other side is the customer where there is one, and the agent is who leads", () => {
  const call = { ...answered(), participants: [part("ben", "agentThird"), part("ann", "agentMain"), part("carl", "guest")] };
  assert.equal(otherSide(call, "ann")?.person.user, "carl");
  assert.equal(otherSide({ ...call, participants: call.participants.slice(0, 2) }, "ann")?.person.user, "ben");
  assert.equal(agentOf(call)?.person.user, "ann");
});

test("users are supervisors, agents or customers", () => {
  assert.equal(roleOf({ skillGroups: ["sales"], supervisor: true }), "supervisor");
  assert.equal(roleOf({ skillGroups: ["sales"], supervisor: false }), "agent");
  assert.equal(roleOf({ skillGroups: [], supervisor: false }), "customer");
});

test("a token names its user, and nonsense nobody", () => {
  const payload = Buffer.from(JSON.stringify({ sub: "zoë" })).toString("base64url");
  assert.equal(tokenUser(`h.${payload}.s`), "zoë");
  for (const token of ["", "x", "a.b.c"]) assert.equal(tokenUser(token), "");
});
