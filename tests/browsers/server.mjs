// A Crosspoint server of the test's own: the release binary on free loopback ports.

import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AccessToken } from "livekit-server-sdk";

const KEY = "testkey";
export const SECRET = "a-secret-of-the-tests-that-is-long-enough";
const BINARY = process.env.SERVER_BINARY ?? "../../target/release/crosspoint";

/** Starts a server; `env` overrides settings. Ends with `stop()`. */
export async function startServer(env = {}) {
  const [httpPort, udpPort, tcpPort] = await freePorts(3);
  const data = mkdtempSync(join(tmpdir(), "crosspoint-test-"));
  const child = spawn(BINARY, ["serve"], {
    env: {
      ...process.env,
      CROSSPOINT_KEYS: `${KEY}: ${SECRET}`,
      CROSSPOINT_HTTP_LISTEN: `127.0.0.1:${httpPort}`,
      CROSSPOINT_MEDIA_UDP_PORT: String(udpPort),
      CROSSPOINT_MEDIA_TCP_PORT: String(tcpPort),
      CROSSPOINT_MEDIA_ADDRESSES: "127.0.0.1",
      CROSSPOINT_MEDIA_WORKERS: "2",
      CROSSPOINT_DATA_DIR: data,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const log = [];
  child.stdout.on("data", (chunk) => log.push(chunk));
  child.stderr.on("data", (chunk) => log.push(chunk));
  const server = {
    url: `http://127.0.0.1:${httpPort}`,
    udpPort,
    tcpPort,
    pid: child.pid,
    log: () => Buffer.concat(log).toString(),
    token,
    api: (method, path, body) => api(server, method, path, body),
    meet: async (room, identity, query = {}) => {
      const params = new URLSearchParams({
        room,
        name: identity,
        join: "1",
        token: await token(room, identity),
        ...query,
      });
      return `${server.url}/?${params}`;
    },
    stop: async () => {
      if (child.exitCode === null) {
        child.kill("SIGKILL");
        await new Promise((resolve) => child.once("exit", resolve));
      }
      rmSync(data, { recursive: true, force: true });
    },
  };
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`the server ended:\n${server.log()}`);
    return (await fetch(`${server.url}/readyz`).catch(() => null))?.ok;
  }, "the server to be ready");
  return server;
}

/** A token as an application server mints it, with LiveKit's own SDK. */
export async function token(room, identity, grants = {}) {
  const jwt = new AccessToken(KEY, SECRET, { identity, name: identity, ttl: "10m" });
  jwt.addGrant({ roomJoin: true, room, canPublish: true, canSubscribe: true, ...grants });
  return jwt.toJwt();
}

async function api(server, method, path, body) {
  const jwt = new AccessToken(KEY, SECRET, { identity: "admin", ttl: "10m" });
  const room = decodeURIComponent(path.match(/\/v1\/rooms\/([^/]+)/)?.[1] ?? "");
  jwt.addGrant({ roomAdmin: true, roomCreate: true, roomList: true, roomRecord: true, room });
  const response = await fetch(server.url + path, {
    method,
    headers: {
      authorization: `Bearer ${await jwt.toJwt()}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

/** Polls `condition` until it is truthy; fails after `seconds`. Returns its value. */
export async function until(condition, what, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function freePorts(count) {
  const sockets = await Promise.all(
    Array.from({ length: count }, () => new Promise((resolve, reject) => {
      const socket = createServer().once("error", reject);
      socket.listen(0, "127.0.0.1", () => resolve(socket));
    })),
  );
  const ports = sockets.map((socket) => socket.address().port);
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.close(resolve))));
  return ports;
}
