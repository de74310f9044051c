// Debian's Chromium, driven by playwright-core.

import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-ui-for-media-stream",
  // The fake camera's default is 20 frames a second.
  "--use-fake-device-for-media-stream=fps=30",
  "--auto-select-desktop-capture-source=Entire screen",
  "--autoplay-policy=no-user-gesture-required",
  // Pages in the background must go on decoding.
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
  "--disable-features=WebRtcHideLocalIpsWithMdns",
];

/** Starts Chromium; each page has a context of its own, as for different people. */
export async function startChromium(flags = []) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [...FLAGS, ...flags],
  });
  return {
    name: `Chromium ${browser.version()}`,
    open: async (url, init) => {
      const context = await browser.newContext({
        permissions: ["camera", "microphone"],
        viewport: { width: 1280, height: 800 },
      });
      const page = await context.newPage();
      const errors = [];
      page.on("pageerror", (error) => errors.push(String(error)));
      if (init) await page.addInitScript(init);
      await page.goto(url);
      return {
        evaluate: (fn, argument) => page.evaluate(fn, argument),
        screenshot: (path) => page.screenshot({ path }),
        close: () => context.close(),
        errors,
        page,
      };
    },
    stop: () => browser.close(),
  };
}
