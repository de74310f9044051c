import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { chooseLanguage } from "../pages/meet/i18n.js";
import { fitGrid, tileAspect } from "../pages/meet/layout.js";
import { identityFor, readParams, shareLink, suggestRoom, tokenClaims } from "../pages/meet/params.js";
import { deviceProblem, ending } from "../pages/meet/problems.js";
import { en } from "../pages/meet/text-en.js";
import { zh } from "../pages/meet/text-zh.js";
import { initials } from "../pages/meet/tile.js";

const pages = new URL("../pages/", import.meta.url);
const html = readFileSync(new URL("meet.html", pages), "utf8");
const scripts = readdirSync(new URL("meet/", pages))
  .filter((name) => name.endsWith(".js"))
  .map((name) => readFileSync(new URL(`meet/${name}`, pages), "utf8"))
  .join("\n");
const all = (/** @type {string} */ text, /** @type {RegExp} */ pattern) => [...text.matchAll(pattern)].map((m) => m[1]);

test("both languages have the same keys and the same places to fill in", () => {
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  for (const [key, text] of Object.entries(en)) {
    const places = (/** @type {string} */ s) => all(s, /\{(\w+)\}/g).sort();
    assert.deepEqual(places(zh[/** @type {keyof typeof en} */ (key)]), places(text), key);
  }
});

test("every text that the page asks for exists, and every text is used", () => {
  for (const key of all(html, /data-t(?:-label|-placeholder)?="(\w+)"/g)) assert.ok(key in en, key);
  const users = scripts.replaceAll(/^  \w+:/gm, ""); // the keys of the lists themselves do not count
  for (const key of Object.keys(en)) {
    assert.ok(html.includes(`"${key}"`) || users.includes(`"${key}"`), `${key} is never used`);
  }
});

test("every element and pictogram that the scripts name is on the page", () => {
  const ids = new Set(all(html, /\sid="([^"]+)"/g));
  for (const id of all(scripts, /byId\("([\w-]+)"\)/g)) assert.ok(ids.has(id), `#${id}`);
  for (const name of all(scripts, /\bicon\("([\w-]+)"\)/g)) assert.ok(ids.has(`i-${name}`), `icon ${name}`);
  for (const name of all(html, /<use href="#([\w-]+)"/g)) assert.ok(ids.has(name), `icon ${name}`);
});

test("every button has words or a label that the scripts give", () => {
  for (const [, attributes, content] of html.matchAll(/<button([^>]*)>(.*?)<\/button>/gs)) {
    const id = /\sid="([^"]+)"/.exec(attributes)?.[1] ?? "";
    const labelled = /data-t-label|data-t=/.test(attributes + content);
    assert.ok(labelled || scripts.includes(`"${id}"`), attributes);
  }
});

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

test("the first language that the page has is taken", () => {
  assert.equal(chooseLanguage(["fr-FR", "zh-TW", "en"]), "zh");
  assert.equal(chooseLanguage(["de", "en-GB"]), "en");
  assert.equal(chooseLanguage([]), "en");
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

test("initials suit the script of the name", () => {
  assert.equal(initials("Amelia Hart"), "AH");
  assert.equal(initials("plato"), "P");
  assert.equal(initials("陈晓雨"), "晓雨");
  assert.equal(initials("  "), "?");
});

test("every reason has words, unknown ones included", () => {
  assert.deepEqual(ending("kicked"), { title: "endedKicked", text: "endedKickedText" });
  assert.deepEqual(ending("fingerprint_mismatch"), { title: "endedOther", text: "endedOtherText" });
  assert.equal(deviceProblem("camera", "device_in_use"), "camInUse");
  assert.equal(deviceProblem("microphone", "nonsense"), "micFailed");
});
