// Spec §8.6, §5.20 and §5.22 against client/testdata/introduction.txt,
// wire/testdata/candidate.txt and nat/testdata/probes.txt.

import assert from 'node:assert/strict';
import test from 'node:test';
import { serverKeys } from '../decoder/identity.mjs';
import { checkAttestation, openAnswer, openOffer, openProbe, parseCandidates, probeKey, sealProbe } from '../decoder/introduction.mjs';
import { publicEd25519 } from '../decoder/keys.mjs';
import { Refused, concat, everyPrefix, hex, uint } from '../decoder/wire.mjs';
import { equals, spaced } from './vectors.mjs';

const of = (path) => Object.fromEntries(equals(path).at(-1).entries);
const flip = (bytes, at) => bytes.map((b, i) => (i === at ? b ^ 1 : b));

test('an offer, its answer, and the key of the probes', () => {
  const v = of('client/testdata/introduction.txt');
  const offer = openOffer(v.intro, v.offer);
  assert.equal(hex(offer.peer), hex(publicEd25519(new Uint8Array(32).fill(1))));
  assert.deepEqual(offer.candidates.map((c) => [c.kind, c.ip.length, c.port]), [[1, 16, 4433], [2, 4, 4000]]);
  assert.deepEqual([offer.sentAt, offer.relay[0].host, offer.ticket.length], [1800000000000n, 'relay.example', 32]);
  const attestation = checkAttestation(offer.extensions.find((e) => e.type === 1).data, offer.secret);
  assert.equal(hex(attestation.server), hex(serverKeys(v.server_seed).id));
  assert.equal(hex(attestation.address), `${'00'.repeat(10)}ffffc0000201`);
  assert.throws(() => checkAttestation(offer.extensions[0].data, flip(offer.secret, 0)), Refused, 'another offer');
  const answer = openAnswer(v.intro, offer, v.answer);
  assert.deepEqual([answer.what, answer.joined, answer.candidates[0].kind], [1, 1, 6]);
  assert.equal(hex(probeKey(offer, answer)), hex(v.probe_key));
  assert.throws(() => openAnswer(v.intro, { secret: flip(offer.secret, 0) }, v.answer), Refused, 'an answer to another offer');
  assert.throws(() => openOffer(flip(v.intro, 0), v.offer), Refused);
  assert.throws(() => openOffer(v.intro, v.answer), Refused);
  for (let at = 0; at < v.offer.length; at += 7) assert.throws(() => openOffer(v.intro, flip(v.offer, at)), Refused);
});

test('candidates', () => {
  const v = spaced('wire/testdata/candidate.txt');
  assert.deepEqual(parseCandidates(v.none), []);
  everyPrefix(v.several, parseCandidates);
  assert.deepEqual(parseCandidates(v.several).map((c) => [c.kind, c.ip.length, c.port]), [[1, 4, 4000], [2, 16, 65535], [4, 4, 1]]);
});

test('probes', () => {
  const v = of('nat/testdata/probes.txt');
  const ping = openProbe(v.key, true, v.ping), pong = openProbe(v.key, false, v.pong);
  assert.deepEqual([ping.kind, pong.kind, hex(ping.transaction)], [1, 2, hex(pong.transaction)]);
  assert.deepEqual([hex(pong.observed), pong.port], [`${'00'.repeat(10)}ffffc0000201`, 4000]);
  assert.equal(hex(openProbe(v.key, false, v.pong_6).observed), '2a0e'.padEnd(30, '0') + '01');
  const check = openProbe(v.key, false, v.check), report = openProbe(v.key, true, v.report);
  assert.deepEqual([check.kind, check.number, check.long, check.stuck], [3, 3n, 70000, 1]);
  assert.deepEqual([report.kind, report.number, report.long, report.stuck], [4, 3n, 5, 0]);
  assert.equal(hex(sealProbe(v.key, false, v.pong.slice(1, 25), 2, pong.transaction, concat(pong.observed, uint(pong.port, 2)))), hex(v.pong));
  for (const [name, controlling] of [['ping', true], ['pong', false]]) {
    assert.throws(() => openProbe(v.key, !controlling, v[name]), Refused, 'reflected');
    everyPrefix(v[name], (b) => openProbe(v.key, controlling, b));
    for (let at = 0; at < 72; at++) assert.throws(() => openProbe(v.key, controlling, flip(v[name], at)), Refused, `byte ${at}`);
  }
});
