// Debian's Firefox ESR, driven by Marionette, its own remote protocol: length-prefixed JSON
// arrays over TCP. (Playwright drives only a Firefox build of its own.)

import { spawn } from "node:child_process";
import { connect } from "node:net";
import { mkdtempSync, readFileSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./server.mjs";

const PREFS = {
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  "media.peerconnection.ice.loopback": true,
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  "permissions.default.camera": 1,
  "permissions.default.microphone": 1,
  "media.autoplay.default": 0,
  "media.autoplay.blocking_policy": 0,
  "media.getusermedia.insecure.enabled": true,
  "marionette.port": 0,
  "app.update.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "toolkit.telemetry.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
};

/** Starts Firefox; each page is a window of its own. */
export async function startFirefox() {
  const profile = mkdtempSync(join(tmpdir(), "crosspoint-firefox-"));
  const prefs = Object.entries(PREFS)
    .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
  writeFileSync(join(profile, "user.js"), prefs.join("\n"));
  const child = spawn(
    process.env.FIREFOX ?? "/usr/bin/firefox-esr",
    ["--headless", "--marionette", "--no-remote", "--profile", profile],
    { stdio: "ignore", env: { ...process.env, HOME: profile } },
  );
  const portFile = join(profile, "MarionetteActivePort");
  await until(() => existsSync(portFile), "Firefox to listen", 60);
  const marionette = await Marionette.connect(Number(readFileSync(portFile, "utf8")));
  const session = await marionette.send("WebDriver:NewSession", {});
  // Stays open: a window that is closed is none to open another one from.
  const { value: home } = await marionette.send("WebDriver:GetWindowHandle", {});
  const inWindow = async (handle, work) =>
    marionette.exclusive(async () => {
      await marionette.send("WebDriver:SwitchToWindow", { handle });
      return work();
    });
  return {
    name: `Firefox ${session.capabilities.browserVersion}`,
    open: async (url) => {
      const { handle } = await inWindow(home, () => marionette.send("WebDriver:NewWindow", { type: "window" }));
      await inWindow(handle, () => marionette.send("WebDriver:Navigate", { url }));
      return {
        evaluate: (fn, argument) =>
          inWindow(handle, async () => {
            const { value } = await marionette.send("WebDriver:ExecuteAsyncScript", {
              script: `const done = arguments[arguments.length - 1];
                Promise.resolve((${fn})(arguments[0]))
                  .then((value) => done({ value }), (error) => done({ error: String(error) }));`,
              args: [argument ?? null],
              scriptTimeout: 30_000,
              sandbox: null,
            });
            if (value.error) throw new Error(value.error);
            return value.value;
          }),
        screenshot: (path) =>
          inWindow(handle, async () => {
            const { value } = await marionette.send("WebDriver:TakeScreenshot", { full: false });
            writeFileSync(path, Buffer.from(value, "base64"));
          }),
        close: () => inWindow(handle, () => marionette.send("WebDriver:CloseWindow", {})),
        errors: [],
      };
    },
    stop: async () => {
      child.kill("SIGTERM");
      await new Promise((resolve) => child.once("exit", resolve));
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

class Marionette {
  #socket;
  #buffer = Buffer.alloc(0);
  #next = 1;
  #waiting = new Map();
  #turn = Promise.resolve();

  static async connect(port) {
    const marionette = new Marionette();
    const socket = connect(port, "127.0.0.1");
    marionette.#socket = socket;
    socket.on("data", (chunk) => marionette.#receive(chunk));
    socket.on("error", () => {});
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return marionette;
  }

  /** One script at a time: the current window is state of the connection. */
  exclusive(work) {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  send(command, parameters) {
    const id = this.#next++;
    const text = JSON.stringify([0, id, command, parameters]);
    this.#socket.write(`${Buffer.byteLength(text)}:${text}`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #receive(chunk) {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      const colon = this.#buffer.indexOf(":");
      if (colon < 0) return;
      const length = Number(this.#buffer.subarray(0, colon).toString());
      if (this.#buffer.length < colon + 1 + length) return;
      const message = JSON.parse(this.#buffer.subarray(colon + 1, colon + 1 + length).toString());
      this.#buffer = this.#buffer.subarray(colon + 1 + length);
      if (!Array.isArray(message)) continue;
      const [, id, error, result] = message;
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(`${error.error}: ${error.message}`));
      else waiting?.resolve(result);
    }
  }
}
