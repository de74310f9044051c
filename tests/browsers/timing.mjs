// How long joining takes in Chromium, and which part of it is the browser's own.
// Not a test: `node timing.mjs` prints medians of 20 joins.

import { startChromium } from "./chromium.mjs";
import { startServer, until } from "./server.mjs";

const JOINS = 20;

const server = await startServer();
const chromium = await startChromium();
const stage = await chromium.open(await server.meet("timing", "stage"));
await until(() => stage.evaluate(() => crosspoint.room.state === "connected"), "the publisher");

const samples = [];
for (let i = 0; i < JOINS; i += 1) {
  const page = await chromium.open(await server.meet("timing", `guest-${i}`));
  const timings = await until(
    () =>
      page.evaluate(() => {
        const { joinMs, answerToConnectedMs, answerToAppliedMs, joinToFirstFrameMs } =
          crosspoint.room.timings;
        return joinToFirstFrameMs === null || joinToFirstFrameMs === undefined
          ? null
          : { joinMs, answerToConnectedMs, answerToAppliedMs, joinToFirstFrameMs };
      }),
    "a first picture",
  );
  samples.push(timings);
  await page.close();
}
await chromium.stop();
await server.stop();

const median = (name) => {
  const values = samples.map((sample) => sample[name]).sort((a, b) => a - b);
  return (values[(values.length - 1) >> 1] + values[values.length >> 1]) / 2;
};
console.log(`${chromium.name}, ${JOINS} joins, medians in ms`);
console.log(`join to connected                          ${median("joinMs").toFixed(1)}`);
console.log(`answer to connected                        ${median("answerToConnectedMs").toFixed(1)}`);
console.log(`  of which the browser applies the answer  ${median("answerToAppliedMs").toFixed(1)}`);
console.log(`join to first picture of others            ${median("joinToFirstFrameMs").toFixed(1)}`);
