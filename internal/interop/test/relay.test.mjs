// Spec §6 against wire/testdata/relay.txt, wire/testdata/forward.txt and
// relay/testdata/derived.txt.

import assert from 'node:assert/strict';
import test from 'node:test';
import { appendAnswer, openAnswer, openChallenge, openGrant, openPacket, sealPacket, sideKey } from '../decoder/forward.mjs';
import { serverKeys } from '../decoder/identity.mjs';
import { publicEd25519, sha256 } from '../decoder/keys.mjs';
import { admissionHash, appendAuth, checkAuth, checkReceipt, parse, tokenHash, workBits } from '../decoder/relay.mjs';
import { siphash } from '../decoder/siphash.mjs';
import { Refused, concat, everyPrefix, hex, unhex, utf8 } from '../decoder/wire.mjs';
import { equals, spaced } from './vectors.mjs';

const of = (path) => Object.fromEntries(equals(path).at(-1).entries);
const flip = (bytes, at) => bytes.map((b, i) => (i === at ? b ^ 1 : b));
const session = unhex('1122334455667788');

test('the structures of §6.2', () => {
  const names = {
    error: 'error', auth: 'auth', terms: 'terms', 'inbox-create': 'createInbox', 'inbox-create-knock': 'createInbox',
    'inbox-name': 'inboxName', 'knock-allow': 'allowKnock', 'prekeys-put': 'putPrekeys', 'prekeys-left': 'prekeysLeft',
    'prekeys-take': 'takePrekeys', prekeys: 'prekeys', deliver: 'deliver', receipt: 'receipt', mail: 'mail', 'mail-ack': 'acknowledge',
    'work-allow': 'allowWork', 'work-bits': 'workBits', 'work-deliver': 'workDeliver', 'work-bundle': 'workBundle',
    'forward-leg-0': 'forwardLeg', 'forward-leg-1': 'forwardLeg', 'forward-join': 'joinForward',
  };
  const v = spaced('wire/testdata/relay.txt');
  for (const [name, bytes] of Object.entries(v)) {
    assert.ok(names[name], `${name} is not in the spec`);
    everyPrefix(bytes, parse[names[name]]);
    assert.throws(() => parse[names[name]](concat(bytes, Uint8Array.of(0))), Refused, name);
  }
  assert.equal(parse.error(v.error).text, 'quota');
  assert.equal(parse.mail(v.mail).seq, 3n);
  assert.deepEqual(parse.putPrekeys(v['prekeys-put']).oneTime.map((o) => [o.id, Buffer.from(o.blob).toString()]), [[1, 'a'], [9, 'bc']]);
});

test('an owner authenticates to one relay on one connection', () => {
  const v = of('relay/testdata/derived.txt');
  const { id } = serverKeys(v.server_seed);
  assert.equal(hex(appendAuth(v.owner_seed, publicEd25519(v.owner_seed), utf8('friend'), id, v.binding)), hex(v.auth));
  checkAuth(v.auth, id, v.binding);
  assert.throws(() => checkAuth(v.auth, id, flip(v.binding, 3)), Refused);
  assert.throws(() => checkAuth(v.auth, flip(id, 0), v.binding), Refused);
  for (let at = 0; at < v.auth.length; at++) assert.throws(() => checkAuth(flip(v.auth, at), id, v.binding), Refused, `byte ${at}`);
});

test('what a relay answers for', () => {
  const v = of('relay/testdata/derived.txt');
  assert.equal(hex(tokenHash(v.token)), hex(v.token_hash));
  assert.equal(hex(admissionHash(utf8('friend'))), hex(v.admission_hash));
  const receipt = checkReceipt(v.receipt, serverKeys(v.server_seed).id);
  assert.equal(hex(receipt.hash), hex(sha256(v.blob)));
  assert.equal(hex(receipt.inbox), hex(v.inbox));
  for (let at = 0; at < v.receipt.length; at++) assert.throws(() => checkReceipt(flip(v.receipt, at), serverKeys(v.server_seed).id), Refused);
  const delivery = parse.workDeliver(v.work_delivery);
  assert.equal(delivery.work.day, Math.floor(1800000000 / 86400));
  assert.ok(workBits(delivery) >= 12);
  assert.ok(workBits({ ...delivery, blob: utf8('another') }) < 12, 'the work is for one blob');
});

test('SipHash-2-4 is that of its authors', () => {
  const key = Uint8Array.from({ length: 16 }, (_, i) => i);
  const message = (n) => Uint8Array.from({ length: n }, (_, i) => i);
  // The first, the ninth and the sixteenth of the vectors in the paper's code.
  assert.equal(hex(siphash(key, message(0))), '310e0edd47db6f72');
  assert.equal(hex(siphash(key, message(8))), '6224939a79f5f593');
  assert.equal(hex(siphash(key, message(15))), 'e545be4961ca29a1');
});

test('forwarded packets', () => {
  const v = of('wire/testdata/forward.txt');
  for (const [name, bytes] of Object.entries(v)) {
    const found = /^side_([0-3])_counter_(\d+)$/.exec(name);
    if (!found) continue;
    const side = Number(found[1]), counter = BigInt(found[2]);
    assert.equal(hex(sealPacket(v.key, side, session, counter, v.packet)), hex(bytes), name);
    for (const largest of [counter, counter + 500n, counter > 1000n ? counter - 1000n : 0n]) {
      const got = openPacket(v.key, side, bytes, largest);
      assert.deepEqual([got.counter, hex(got.packet), hex(got.session)], [counter, hex(v.packet), hex(session)]);
    }
    assert.throws(() => openPacket(v.key, side ^ 1, bytes, counter), Refused, 'the other side');
    assert.throws(() => openPacket(v.key, side ^ 2, bytes, counter), Refused, 'reflected');
    assert.throws(() => openPacket(v.key, side ^ 2, bytes.map((b, i) => (i === 0 ? b ^ 2 : b)), counter), Refused, 'reflected, and changed');
    assert.throws(() => openPacket(v.key, side, bytes, counter + (1n << 25n)), Refused, 'long ago');
    for (let at = 0; at < 16; at++) assert.throws(() => openPacket(v.key, side, flip(bytes, at), counter), Refused, `byte ${at}`);
    for (let n = 0; n < bytes.length; n++) assert.throws(() => openPacket(v.key, side, bytes.slice(0, n), counter), Refused, `${n} bytes`);
  }
});

test('challenges and their answers', () => {
  const v = of('wire/testdata/forward.txt');
  const challenge = openChallenge(v.key, v.challenge);
  assert.deepEqual([challenge.side, hex(challenge.session), v.challenge.length], [1, hex(session), 33]);
  const answer = openAnswer(v.key, v.answer);
  assert.deepEqual([answer.side, answer.sent, answer.received, hex(answer.cookie)], [1, 1n << 33n, 7n, hex(challenge.cookie)]);
  assert.equal(hex(appendAnswer(v.key, answer)), hex(v.answer));
  everyPrefix(v.challenge, (b) => openChallenge(v.key, b));
  everyPrefix(v.answer, (b) => openAnswer(v.key, b));
  for (let at = 0; at < v.answer.length; at++) assert.throws(() => openAnswer(v.key, flip(v.answer, at)), Refused);
});

test('a session that survives its relay', () => {
  const v = of('relay/testdata/derived.txt');
  const { noise } = serverKeys(v.server_seed);
  assert.equal(hex(sideKey(noise, session, 0)), hex(v.key_of_side_0));
  assert.equal(hex(sideKey(noise, session, 1)), hex(v.key_of_side_1));
  const grant = openGrant(noise, session, 1, v.grant_of_side_1);
  assert.deepEqual([hex(grant.owner), grant.made], [hex(publicEd25519(v.owner_seed)), 1800000000n]);
  assert.throws(() => openGrant(noise, session, 0, v.grant_of_side_1), Refused);
  assert.throws(() => openGrant(noise, flip(session, 7), 1, v.grant_of_side_1), Refused);
});
