// What the tests of the phonebar share: its enterprise with two skill groups and a supervisor, and pages
// that run the document's basic sample.

import assert from "node:assert/strict";
import { logged, run, startHouse } from "./calls.mjs";
import { hums } from "./tones.mjs";

export const TENANT = "02566699734";

/** A house with the enterprise: 1003 supervises the group 2069, 1006 is in both groups, 1007 in none. */
export async function startEnterprise() {
  const house = await startHouse();
  await house.admin("PUT", `/v1/tenants/${TENANT}`, {
    loginPolicy: "single",
    numberCipher: { type: "aes128EcbSha1prng", seed: "00112233445566778899aabbccddeeff" },
  });
  for (const [group, name] of [["2069", "售前咨询"], ["2070", "售后"]]) {
    await house.admin("PUT", `/v1/tenants/${TENANT}/groups/${group}`, { name, kind: "skill", members: [] });
  }
  const seats = [
    ["1001", "2069"], ["1002", "2069"], ["1003", "2069"], ["10010", "2069"],
    ["1004", "2070"], ["1005", "2070"], ["1006", "2069", "2070"], ["1007"],
  ];
  for (const [un, ...skillGroups] of seats) {
    await house.admin("PUT", `/v1/tenants/${TENANT}/users/${un}`, {
      name: `坐席${un}`,
      password: un,
      extension: un,
      skillGroups,
      supervisor: un === "1003",
    });
  }
  return house;
}

/** The document's basic sample: account, registration, callbacks. */
export const SAMPLE = (un) => `import phonebar from 'jssip-emicnet/dist/phonebar';${SCRIPT(un)}`;

/** The same without its import, for pages that load the phonebar as a script. */
export const SCRIPT = (un) => `
phonebar.getUser("${un}", "${un}", '${TENANT}', function(err,data) {
  if (err) { window.log.push("error " + err.code); return }
  var groups = data.inGroups //所属技能组
  var gid = groups && groups.length > 0 ? groups[0].id : 0
  window.data = data
  //注册sip
  phonebar.init({
    un:'${un}',
    pwd:'${un}',
    switchnumber: "${TENANT}",
    gid: gid//登陆技能组
  }, {
    //注册回调
    register: function (data) {
      window.log.push("register " + data.code)
    },
    //呼入通话回调
    callEvent: function (type, data) {
      window.events.push({ type, data })
      window.log.push(type + (data.r ? " " + data.r : ""))
      if (data.c) window.ccNumber = data.c
    },
    statusChanged: function (data) { window.log.push("status " + data.status) },
    repCallStatus: function (data) { window.rep = data; window.log.push("rep " + data.caller + " " + (data.endTime ? "end" : "start")) },
    //被踢下线消息
    kickedOffLine: function (data) {
      window.log.push("kicked " + data.r)
    }
  })
})
`;

/**
 * A registered seat; with `hz` its microphone hums; with `gid` it logs in with that skill group; its page is
 * at `host`.
 */
export async function seat(house, un, { hz, gid, host } = {}) {
  const page = await house.open(host);
  await page.evaluate(() => Object.assign(window, { log: [], events: [] }));
  if (hz) await hums(page, hz);
  await run(page, gid ? SAMPLE(un).replace("gid: gid", `gid: "${gid}"`) : SAMPLE(un));
  assert.equal(await logged(page, "register"), "register 200");
  await logged(page, "status 1");
  await page.evaluate(() => (window.log.length = 0));
  return page;
}

/** Calls one of the phonebar's functions. */
export const does = (page, name, ...args) => page.evaluate(([name, args]) => window.phonebar[name](...args), [name, args]);
/** The call that a page heard of last. */
export const cc = (page) => page.evaluate(() => window.ccNumber);

/** Two seats talk. */
export async function talking(from, to, number) {
  assert.equal(await does(from, "call", number), 3);
  await logged(to, "newPBXCall");
  await does(to, "answerPBXCall", await cc(to));
  for (const page of [from, to]) await logged(page, "answeredPBXCall");
  return cc(from);
}
