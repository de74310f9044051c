// What most tests need: a server and a Chromium, there before the first test and gone after the last.

import { after, before } from "node:test";
import { startChromium } from "./chromium.mjs";
import { startServer } from "./server.mjs";

/** Settings of a server with one worker, so that one link leads to all of it. */
export const ONE_WORKER = { CROSSPOINT_MEDIA_WORKERS: "1" };

/** Of this file's tests, from their start to their end. */
export let server, chromium;

/** Has both started for the tests of a file or of a `describe`; `env` is the server's. */
export function setStage(env = {}) {
  before(async () => {
    server = await startServer(env);
    chromium = await startChromium();
  });
  after(async () => {
    await chromium?.stop();
    await server?.stop();
  });
}
