// A link between one browser page and the server that is as narrow, slow and lossy as a test says.
//
// A relay of UDP in this process: the page sends to the link's port what it would send to the
// server's (see `through`), and each address that it sends from gets a socket of its own towards
// the server, which therefore takes the relay for the page.

import { createSocket } from "node:dgram";

const HOST = "127.0.0.1";
/** Names and numbers of UDP and IPv4, which a link carries too, in bytes. */
const HEADERS = 28;

/**
 * What one way of a link is like.
 *
 * @typedef {object} Way
 * @property {number} [kbps] kbit/s that it carries; default: any number
 * @property {number} [queueMs] how long a packet may wait for its turn before it is dropped
 * @property {number} [delayMs] how long it travels
 * @property {number} [loss] share of packets that never arrive, 0 to 1
 */

/**
 * Opens a link to the server's UDP port.
 *
 * @param {number} serverPort
 * @param {Way} [way] of both ways
 */
export async function openLink(serverPort, way = {}) {
  const front = await bound();
  const up = new Queue(way, 1);
  const down = new Queue(way, 2);
  /** By the address that a page sends from. @type {Map<string, Promise<import("node:dgram").Socket>>} */
  const backs = new Map();
  let open = true;
  const back = async (/** @type {{ address: string, port: number }} */ page) => {
    const socket = await bound();
    socket.on("message", (packet) =>
      down.push(packet, () => open && front.send(packet, page.port, page.address)),
    );
    return socket;
  };
  front.on("message", async (packet, page) => {
    const from = `${page.address}:${page.port}`;
    if (!backs.has(from)) backs.set(from, back(page));
    const socket = await backs.get(from);
    up.push(packet, () => open && socket.send(packet, serverPort, HOST));
  });
  return {
    port: front.address().port,
    up,
    down,
    /** Changes both ways; what waits goes on as it would have. @param {Way} way */
    set(way) {
      up.way = { ...up.way, ...way };
      down.way = { ...down.way, ...way };
    },
    async stop() {
      open = false;
      front.close();
      for (const socket of backs.values()) (await socket).close();
    },
  };
}

/**
 * Runs before a page's own scripts: sends what goes to the server through a link.
 *
 * @param {number} port
 */
export function through(port) {
  const detour = (/** @type {number} */ port) => {
    const Native = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Native {
      setRemoteDescription({ type, sdp }) {
        const lines = sdp
          .split("\r\n")
          .filter((line) => !/^a=candidate:\S+ \d+ tcp /i.test(line))
          .map((line) => line.replace(/^(a=candidate:\S+ \d+ udp \d+ \S+) \d+/i, `$1 ${port}`));
        return super.setRemoteDescription({ type, sdp: lines.join("\r\n") });
      }
    };
  };
  return `(${detour})(${port})`;
}

/** One way: a queue that drains at the link's rate, then a delay. Order is kept. */
class Queue {
  /** @type {Way} */
  way;
  /** Packets that came, and that were lost on purpose or because the queue was full. */
  counts = { packets: 0, lost: 0, overflowed: 0 };
  #random;
  /** When the link has sent all that it took. */
  #free = 0;
  /** @type {{ at: number, deliver: () => void }[]} */
  #waiting = [];
  #timer = false;

  /**
   * @param {Way} way
   * @param {number} seed
   */
  constructor(way, seed) {
    this.way = way;
    this.#random = random(seed);
  }

  /**
   * @param {Buffer} packet
   * @param {() => void} deliver
   */
  push(packet, deliver) {
    const { kbps = Infinity, queueMs = 200, delayMs = 0, loss = 0 } = this.way;
    const now = performance.now();
    this.counts.packets += 1;
    if (this.#random() < loss) {
      this.counts.lost += 1;
      return;
    }
    const begins = Math.max(this.#free, now);
    if (begins - now > queueMs) {
      this.counts.overflowed += 1;
      return;
    }
    this.#free = begins + ((packet.length + HEADERS) * 8) / kbps;
    if (this.#free + delayMs <= now && this.#waiting.length === 0) return deliver();
    this.#waiting.push({ at: this.#free + delayMs, deliver });
    this.#wake();
  }

  #wake() {
    if (this.#timer || this.#waiting.length === 0) return;
    this.#timer = true;
    setTimeout(() => {
      this.#timer = false;
      const now = performance.now();
      while (this.#waiting.length > 0 && this.#waiting[0].at <= now) this.#waiting.shift()?.deliver();
      this.#wake();
    }, this.#waiting[0].at - performance.now());
  }
}

/** @returns {Promise<import("node:dgram").Socket>} */
function bound() {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20, sendBufferSize: 1 << 20 });
    socket.once("error", reject);
    socket.bind(0, HOST, () => {
      socket.off("error", reject);
      // Nobody listens yet, or no more: what a network does with such a packet.
      socket.on("error", () => {});
      // A test that failed may have left it open.
      socket.unref();
      resolve(socket);
    });
  });
}

/** Numbers from 0 to 1, the same for each run: SplitMix32. @param {number} seed */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
