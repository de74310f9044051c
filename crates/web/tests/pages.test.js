// What holds for every page: words in both languages, elements and pictograms that exist, labels.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { clock } from "../pages/common/clock.js";
import { deviceProblem } from "../pages/common/device-problems.js";
import { chooseLanguage } from "../pages/common/i18n.js";
import { initials } from "../pages/common/person.js";
import { en as commonEn } from "../pages/common/text-en.js";
import { zh as commonZh } from "../pages/common/text-zh.js";

const pages = new URL("../pages/", import.meta.url);
const all = (/** @type {string} */ text, /** @type {RegExp} */ pattern) => [...text.matchAll(pattern)].map((m) => m[1]);
/** What a folder's modules say, the lists of texts apart. */
const scriptsIn = (/** @type {string} */ folder) =>
  readdirSync(new URL(`${folder}/`, pages))
    .filter((name) => name.endsWith(".js") && !name.startsWith("text-"))
    .map((name) => readFileSync(new URL(`${folder}/${name}`, pages), "utf8"))
    .join("\n");
const common = scriptsIn("common");
const names = readdirSync(pages).filter((name) => name.endsWith(".html")).map((name) => name.slice(0, -".html".length));
/** Texts that are asked for by a word of the server: an event, an error, a source. */
const BY_WORD = /^(ev|error|reason|rr|rs|state|seat|why)_\w+$|^(screen_share.*|joining|active|interrupted|camera|microphone|other)$/;

const found = await Promise.all(names.map(async (name) => {
  const { en } = await import(`../pages/${name}/text-en.js`);
  const { zh } = await import(`../pages/${name}/text-zh.js`);
  const html = readFileSync(new URL(`${name}.html`, pages), "utf8");
  return { name, en, zh, html, scripts: scriptsIn(name) };
}));
const users = found.map(({ html, scripts }) => html + scripts).join("\n") + common;

test("there are pages", () => assert.ok(found.length >= 2));

for (const { name, en, zh, html, scripts } of found) {
  describe(`the page ${name}`, () => {
    test("has the same texts in both languages, with the same places to fill in", () => {
      assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
      for (const [key, text] of Object.entries(en)) {
        const places = (/** @type {string} */ s) => all(s, /\{(\w+)\}/g).sort();
        assert.deepEqual(places(zh[key]), places(/** @type {string} */ (text)), key);
      }
    });

    test("repeats no common text, asks for none that is missing, and uses all of its own", () => {
      for (const key of Object.keys(en)) assert.ok(!(key in commonEn), `${key} is a common text`);
      for (const key of all(html, /data-t(?:-label|-placeholder)?="(\w+)"/g)) {
        assert.ok(key in en || key in commonEn, key);
      }
      for (const key of Object.keys(en)) {
        assert.ok(new RegExp(`\\b${key}\\b`).test(html + scripts) || BY_WORD.test(key), `${key} is never used`);
      }
    });

    test("has every element and pictogram that its scripts name", () => {
      const ids = new Set(all(html, /\sid="([^"]+)"/g));
      for (const id of all(scripts, /byId\("([\w-]+)"\)/g)) assert.ok(ids.has(id), `#${id}`);
      for (const id of all(scripts, /\bicon\("([\w-]+)"\)/g)) assert.ok(ids.has(`i-${id}`), `icon ${id}`);
      for (const id of all(html, /<use href="#([\w-]+)"/g)) assert.ok(ids.has(id), `icon ${id}`);
    });

    test("has words for every button, or a label that the scripts give", () => {
      for (const [, attributes, content] of html.matchAll(/<button([^>]*)>(.*?)<\/button>/gs)) {
        const id = /\sid="([^"]+)"/.exec(attributes)?.[1] ?? "";
        const labelled = /data-t-label|data-t=/.test(attributes + content);
        assert.ok(labelled || scripts.includes(`"${id}"`), attributes);
      }
    });
  });
}

test("common texts are the same in both languages, and used", () => {
  assert.deepEqual(Object.keys(commonZh).sort(), Object.keys(commonEn).sort());
  for (const key of Object.keys(commonEn)) assert.ok(users.includes(`"${key}"`), `${key} is never used`);
});

test("the first language that the pages have is taken", () => {
  assert.equal(chooseLanguage(["fr-FR", "zh-TW", "en"]), "zh");
  assert.equal(chooseLanguage(["de", "en-GB"]), "en");
  assert.equal(chooseLanguage([]), "en");
});

test("initials suit the script of the name", () => {
  assert.equal(initials("Amelia Hart"), "AH");
  assert.equal(initials("plato"), "P");
  assert.equal(initials("陈晓雨"), "晓雨");
  assert.equal(initials("  "), "?");
});

test("every failure of a device has words", () => {
  assert.equal(deviceProblem("camera", "device_in_use"), "camInUse");
  assert.equal(deviceProblem("microphone", "nonsense"), "micFailed");
});

test("clocks show hours only when there are any", () => {
  assert.equal(clock(7), "0:07");
  assert.equal(clock(187.4), "3:07");
  assert.equal(clock(3602), "1:00:02");
  assert.equal(clock(-1), "0:00");
});
