import assert from "node:assert/strict";
import { test } from "node:test";
import { fitGrid, tileAspect } from "../pages/meet/layout.js";
import { identityFor, readParams, shareLink, suggestRoom, tokenClaims } from "../pages/meet/params.js";
import { ending } from "../pages/meet/problems.js";

test("the address says where to go, and a token outweighs it", () => {
  const params = readParams("https://host/?room=R&name=N&join=1");
  assert.deepEqual(params, { room: "R", name: "N", identity: "", token: "", join: true });
  const payload = Buffer.from(JSON.stringify({ sub: "zoë", name: "Zoë", video: { room: "静" } })).toString("base64url");
  const given = readParams(`https://host/?room=other&token=h.${payload}.s`);
  assert.deepEqual([given.room, given.name, given.identity, given.join], ["静", "Zoë", "zoë", false]);
});

test("tokens that are none say nothing", () => {
  for (const token of ["", "x", "a.b.c", "..", "a.bnVsbA.c"]) {
    assert.deepEqual(tokenClaims(token), { room: "", identity: "", name: "" });
  }
});

test("a share link carries the room and neither name nor token", () => {
  assert.equal(shareLink("https://host/?room=a&name=N&token=SECRET#x", "b c"), "https://host/?room=b+c");
});

test("identities are readable and differ between people of one name", () => {
  assert.equal(identityFor("Ann-Marie O’Hara", "x7"), "ann-marie-o-hara-x7");
  assert.equal(identityFor("陈晓雨", "x7"), "陈晓雨-x7");
  assert.equal(identityFor("🙂", "x7"), "guest-x7");
  assert.ok(identityFor("n".repeat(500), "x7").length < 64);
});

test("suggested rooms are sayable names", () => {
  for (const r of [0, 0.5, 0.999999]) assert.match(suggestRoom(() => r), /^[a-z]+-[a-z]+-[1-9]\d{3}$/);
});

test("tiles fit their space and grow with it", () => {
  for (let count = 1; count <= 49; count++) {
    for (const [width, height] of [[1280, 640], [360, 640], [640, 360], [3000, 200]]) {
      const { columns, rows, tileWidth, tileHeight } = fitGrid(count, width, height, 10, tileAspect(count, width, height));
      assert.ok(columns * rows >= count);
      assert.ok(columns * tileWidth + (columns - 1) * 10 <= width, `${count} in ${width}`);
      assert.ok(rows * tileHeight + (rows - 1) * 10 <= height, `${count} in ${height}`);
      assert.ok(tileWidth > 0);
    }
  }
  assert.deepEqual(fitGrid(4, 1280, 720, 0), { columns: 2, rows: 2, tileWidth: 640, tileHeight: 360 });
});

test("every reason has words, unknown ones included", () => {
  assert.deepEqual(ending("kicked"), { title: "endedKicked", text: "endedKickedText" });
  assert.deepEqual(ending("fingerprint_mismatch"), { title: "endedOther", text: "endedOtherText" });
});
