// A path that loses packets: a UDP relay in front of a server. The server advertises the relay's address
// and listens at the same port of another one.

import { createSocket } from "node:dgram";

/** What a server is to advertise, so that clients come by the relay. */
export const ADVERTISED = "127.0.0.2";

/** Relays what comes to a port at the advertised address to the same port of 127.0.0.1. */
export async function startLossyPath(port, seed = 7) {
  // Marsaglia's xorshift: the same packets are lost each time.
  let state = seed;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  const path = { loss: 0, lost: 0, passed: 0 };
  const near = createSocket("udp4");
  const clients = new Map();
  const pass = (datagram, send) => {
    // Connecting is not what is tried here: STUN and DTLS come through (RFC 7983).
    const media = datagram[0] >= 128;
    if (media && random() < path.loss) path.lost += 1;
    else {
      path.passed += 1;
      send();
    }
  };
  near.on("message", (datagram, client) => {
    const name = `${client.address}:${client.port}`;
    let far = clients.get(name);
    if (!far) {
      far = createSocket("udp4").bind(0, "127.0.0.1");
      far.on("message", (back) => pass(back, () => near.send(back, client.port, client.address)));
      clients.set(name, far);
    }
    pass(datagram, () => far.send(datagram, port, "127.0.0.1"));
  });
  await new Promise((resolve, reject) => near.once("error", reject).bind(port, ADVERTISED, resolve));
  path.stop = () => {
    for (const far of clients.values()) far.close();
    near.close();
  };
  return path;
}
