// What the tests of calls share: tenants and users of a started server, and pages of another origin that
// load the façades through the import map, as an application's pages do.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { AccessToken } from "livekit-server-sdk";
import ts from "typescript";
import { startChromium } from "./chromium.mjs";
import { KEEP_PEERS, stats } from "./people.mjs";
import { startServer, until } from "./server.mjs";

const KEY = "testkey";
const SECRET = "a-secret-of-the-tests-that-is-long-enough";

/** A name of this machine that browsers do not take for secure, as they take every other name over http. */
export const INSECURE = "insecure.test";

/** A server, a browser, and pages of another origin. `stop()` ends all. */
export async function startHouse() {
  let html = "";
  const pages = createServer((_, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(html);
  });
  await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
  const origin = (host) => `http://${host}:${pages.address().port}`;
  const origins = ["127.0.0.1", INSECURE].map(origin).join(",");
  const server = await startServer({ CROSSPOINT_HTTP_CORS_ORIGINS: origins });
  const chromium = await startChromium([`--host-resolver-rules=MAP ${INSECURE} 127.0.0.1`]);
  const map = await (await fetch(`${server.url}/sdk/importmap.json`)).json();
  const imports = Object.fromEntries(
    Object.entries(map.imports).map(([name, path]) => [name, server.url + path]),
  );
  html = `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script><body></body>`;
  return {
    server,
    chromium,
    open: (host = "127.0.0.1") => chromium.open(`${origin(host)}/`, KEEP_PEERS),
    admin: (method, path, body) => admin(server, method, path, body),
    stop: async () => {
      await chromium.stop();
      pages.closeAllConnections();
      pages.close();
      await server.stop();
    },
  };
}

async function admin(server, method, path, body) {
  const jwt = new AccessToken(KEY, SECRET, { identity: "admin", ttl: "10m" });
  jwt.addGrant({ callAdmin: true });
  const response = await fetch(server.url + path, {
    method,
    headers: { authorization: `Bearer ${await jwt.toJwt()}`, "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

/** A token of a user, as the server API gives it to application servers. */
export async function userToken(house, tenant, user) {
  const { token } = await house.admin("POST", `/v1/tenants/${tenant}/users/${user}/token`, { ttlSeconds: 600 });
  return token;
}

/**
 * A page with the native client, logged in, as `window.calls`; it notes each event as a line of
 * `window.log`. `setUp` runs in the page before, and may leave more options in `window.options`.
 */
export async function caller(house, tenant, user, { setUp = async () => {}, ...login } = {}) {
  const page = await house.open();
  await setUp(page);
  await page.evaluate(async ([url, token, login]) => {
    window.log = [];
    const { Calls } = await import(`${url}/sdk/calls.js`);
    const calls = (window.calls = new Calls({ url, token, ...window.options }));
    calls.on("event", (event) => window.log.push(`${event.type} ${event.digit ?? event.message?.content ?? event.stage ?? event.state ?? ""}`.trim()));
    calls.on("inviteReceived", ({ invite, call }) => Object.assign(window, { invite, call }));
    calls.on("transferUpdate", ({ call }) => (window.call = call));
    await calls.login(login);
  }, [house.server.url, await userToken(house, tenant, user), login]);
  return page;
}

/** Asks a page's client, `ask(page, "hold")`; `"$call"` stands for the call that the page knows. */
export function ask(page, verb, ...args) {
  return page.evaluate(
    ([verb, args]) => window.calls[verb](...args.map((each) => (each === "$call" ? window.call : each))),
    [verb, args],
  );
}

/** Runs a code sample, TypeScript or JavaScript, as a module of the page. */
export async function run(page, sample) {
  const { outputText } = ts.transpileModule(sample, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  await page.evaluate(async (code) => {
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    // An import map is the document's, whatever the module's own address is.
    await import(url);
  }, outputText);
}

/** Runs a code sample as a script of the page, as documents print them. */
export function classic(page, sample) {
  return page.evaluate((code) => {
    const script = document.createElement("script");
    script.textContent = code;
    document.head.append(script);
  }, sample);
}

/** Waits until `window.log` of a page has a line that begins so; gives the line. */
export function logged(page, begin, seconds = 30) {
  return until(
    async () => (await page.evaluate(() => window.log)).find((line) => line.startsWith(begin)),
    `"${begin}" in the page's log`,
    seconds,
  );
}

/** Waits until sound, and pictures if asked for, are decoded on a page. */
export async function receives(page, { video = false } = {}) {
  const before = await stats(page);
  await until(
    async () => {
      const now = await stats(page);
      const sound = now.audioPackets > before.audioPackets + 25 && now.audioEnergy > before.audioEnergy;
      return sound && (!video || now.videoFrames > before.videoFrames + 10);
    },
    video ? "sound and pictures" : "sound",
    45,
  );
}
