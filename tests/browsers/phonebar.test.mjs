// The emic phonebar: the samples of its document, with seats in browsers and a supervisor.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { logged, receives, run, startHouse } from "./calls.mjs";
import { until } from "./server.mjs";

const TENANT = "02566699734";
let house;

before(async () => {
  house = await startHouse();
  await house.admin("PUT", `/v1/tenants/${TENANT}`, {
    loginPolicy: "single",
    numberCipher: { type: "aes128EcbSha1prng", seed: "00112233445566778899aabbccddeeff" },
  });
  await house.admin("PUT", `/v1/tenants/${TENANT}/groups/2069`, { name: "售前咨询", kind: "skill", members: [] });
  for (const un of ["1001", "1002", "1003", "10010"]) {
    await house.admin("PUT", `/v1/tenants/${TENANT}/users/${un}`, {
      name: `坐席${un}`,
      password: un,
      extension: un,
      skillGroups: ["2069"],
      supervisor: un === "1003",
    });
  }
});
after(() => house?.stop());

/** The document's basic sample: account, registration, callbacks. */
const SAMPLE = (un) => `
import phonebar from 'jssip-emicnet/dist/phonebar';
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

async function seat(un) {
  const page = await house.open();
  await page.evaluate(() => Object.assign(window, { log: [], events: [] }));
  await run(page, SAMPLE(un));
  assert.equal(await logged(page, "register"), "register 200");
  await logged(page, "status 1");
  await page.evaluate(() => (window.log.length = 0));
  return page;
}

const does = (page, name, ...args) => page.evaluate(([name, args]) => window.phonebar[name](...args), [name, args]);
const cc = (page) => page.evaluate(() => window.ccNumber);

test("a seat registers, calls another, holds, sends tones and hangs up", async () => {
  const [one, two] = await Promise.all([seat("1001"), seat("1002")]);
  assert.deepEqual(await one.evaluate(() => [window.phonebar.checkLogin(), window.phonebar.checkSeatState(), window.data.inGroups[0].id]), [1, 1, "2069"]);
  assert.equal(await does(one, "call", "1002"), 3);
  await logged(two, "newPBXCall");
  await does(two, "answerPBXCall", await cc(two));
  await logged(one, "callinResponse 200");
  for (const page of [one, two]) {
    await logged(page, "answeredPBXCall");
    await receives(page);
    assert.equal(await does(page, "checkSeatState"), 4);
  }
  const ccNumber = await cc(one);
  await does(one, "hold", ccNumber);
  await until(async () => (await does(one, "checkSeatState")) === 5, "the hold");
  await does(one, "unhold", ccNumber);
  await until(async () => (await does(one, "checkSeatState")) === 4, "the end of the hold");
  await receives(two);
  for (const tone of "110#") await does(one, "sendDTMF", tone);
  await does(one, "terminate", ccNumber);
  assert.equal(await logged(one, "endPBXCall"), "endPBXCall 26");
  assert.equal(await logged(two, "endPBXCall"), "endPBXCall 25");
  await Promise.all([one.close(), two.close()]);
});

test("a wrong account, an unknown enterprise and a second login have their codes", async () => {
  const page = await house.open();
  await page.evaluate(() => (window.log = []));
  await run(page, SAMPLE("1001").replace('"1001", "1001"', '"1001", "wrong"'));
  assert.equal(await logged(page, "error"), "error 50003");
  await run(page, SAMPLE("1001").replace(`'${TENANT}'`, "'000'"));
  assert.equal(await logged(page, "error 50004"), "error 50004");
  await page.close();
  const first = await seat("1001");
  const second = await seat("1001");
  assert.equal(await logged(first, "kicked"), "kicked 895");
  await Promise.all([first.close(), second.close()]);
});

test("an encrypted number is dialled and stays encrypted; a wrong one is given back", async () => {
  const [one, two] = await Promise.all([seat("1001"), seat("10010")]);
  assert.equal(await does(one, "call", "YSwz69v4BLPvDmU4BBrbCw", "encrypt"), 3);
  await logged(two, "newPBXCall");
  await does(two, "answerPBXCall", await cc(two));
  await logged(one, "answeredPBXCall");
  const numbers = await one.evaluate(() => window.events.map(({ data }) => data.n).filter(Boolean));
  assert.ok(numbers.length > 0 && numbers.every((n) => n === "YSwz69v4BLPvDmU4BBrbCw"), String(numbers));
  await does(one, "terminate", await cc(one));
  await logged(one, "endPBXCall");
  const result = await does(one, "call", "opwmRvGhOcGMXRZSp_moOQ", "encrypt");
  assert.equal(typeof result, "string");
  await Promise.all([one.close(), two.close()]);
});

test("a call is transferred to a third seat, who is heard", async () => {
  const [one, two, three] = await Promise.all([seat("1001"), seat("1002"), seat("10010")]);
  await does(one, "call", "1002");
  await logged(two, "newPBXCall");
  await does(two, "answerPBXCall", await cc(two));
  await receives(two);
  const ccNumber = await cc(one);
  await run(one, `
window.phonebar.transferPBXCall(2069,10010,'${ccNumber}',function(res){
    if(res.type=='transferCallSuccess'){
        window.log.push("transferred")
    }
    if(res.type=='transferCallFaield'){
        window.log.push("not transferred")
    }
})
`);
  await logged(three, "newPBXCall");
  await does(three, "answerPBXCall", await cc(three));
  assert.equal(await logged(one, "transferred"), "transferred");
  for (const page of [two, three]) await receives(page);
  assert.equal(await logged(one, "endPBXCall"), "endPBXCall 26");
  await Promise.all([one.close(), two.close(), three.close()]);
});

test("groups and their members are listed as the sample asks", async () => {
  const one = await seat("1001");
  const lists = await one.evaluate(async () => {
    const { eid } = window.data.userData;
    const groups = await window.phonebar.webApiHandler("getGroups", { un: "1001", pwd: "1001", eid });
    const result = await window.phonebar.webApiHandler("searchEpMembers", { un: "1001", pwd: "1001", eid, searchGid: groups.returnData[0].id, length: 10 });
    return [groups.status, result.status, result.returnData.recordsTotal, result.returnData.data[0].kefuStatus];
  });
  assert.deepEqual(lists, [200, 200, 4, 1]);
  await one.close();
});
