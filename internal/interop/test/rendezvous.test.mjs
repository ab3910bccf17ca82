// Spec §7 against rendezvous/testdata and wire/testdata/rendezvous.txt.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { publicEd25519 } from '../decoder/keys.mjs';
import {
  blindSecret, blindSecretWith, blindWith, blindedName, checkRegistration, introductionSizes, openPadded, openRecord, parameter, parse,
  registrationMessage, sealPadded, sealingKey, signBlinded,
} from '../decoder/rendezvous.mjs';
import { Refused, concat, everyPrefix, hex, uint, unhex, utf8 } from '../decoder/wire.mjs';
import { sha256 } from '../decoder/keys.mjs';
import { equals, spaced } from './vectors.mjs';

const derived = Object.fromEntries(readFileSync(new URL('../../../rendezvous/testdata/derived.txt', import.meta.url), 'utf8').split('\n')
  .map((line) => /^([a-z_]+) ([0-9a-f]+)$/.exec(line)).filter(Boolean).map((found) => [found[1], found[2]]));
const sealed = Object.fromEntries(equals('rendezvous/testdata/sealed.txt').at(-1).entries);
const seed = unhex(derived.identity_seed), lookup = unhex(derived.lookup), period = Number(derived.period);
const identity = publicEd25519(seed);
const flip = (bytes, at) => bytes.map((b, i) => (i === at ? b ^ 1 : b));

test('blinding is that of Tor', () => {
  const lines = readFileSync(new URL('../../../rendezvous/testdata/tor-blinding.txt', import.meta.url), 'utf8').split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  assert.equal(lines.length, 10);
  for (const line of lines) {
    const [torSeed, key, param, secret, blinded] = line.trim().split(/\s+/).map(unhex);
    assert.equal(hex(publicEd25519(torSeed)), hex(key));
    assert.equal(hex(blindWith(key, param)), hex(blinded));
    const got = blindSecretWith(torSeed, param);
    assert.equal(hex(concat(got.scalar, got.prefix)), hex(secret));
  }
});

test('a blinded name', () => {
  assert.equal(hex(identity), derived.identity);
  assert.equal(hex(parameter(identity, lookup, period)), derived.parameter);
  assert.equal(hex(blindedName(identity, lookup, period)), derived.blinded);
  const secret = blindSecret(seed, identity, lookup, period);
  assert.equal(hex(secret.scalar), derived.blinded_scalar);
  assert.equal(hex(secret.prefix), derived.blinded_prefix);
  assert.equal(hex(signBlinded(secret, 'SREMP v1 rendezvous registration', utf8('message'))), derived.registration_signature_of_message);
  for (const other of [[identity, flip(lookup, 0), period], [identity, lookup, period + 1]]) assert.notEqual(hex(blindedName(...other)), derived.blinded);
  assert.throws(() => blindedName(new Uint8Array(32), lookup, period), Refused);
});

test('a registration of a sealed record', () => {
  const x = checkRegistration(sealed.server, sealed.binding, sealed.register);
  assert.equal(hex(x.blinded), derived.blinded);
  assert.deepEqual([x.period, x.ttl, x.sealed.length], [BigInt(period), 3600, 24 + 1024 + 16]);
  const secret = blindSecret(seed, identity, lookup, period);
  assert.equal(hex(signBlinded(secret, 'SREMP v1 rendezvous registration', registrationMessage(sealed.server, sealed.binding, x))), hex(x.signature));
  everyPrefix(sealed.register, parse.register);
  assert.throws(() => checkRegistration(flip(sealed.server, 0), sealed.binding, sealed.register), Refused);
  assert.throws(() => checkRegistration(sealed.server, flip(sealed.binding, 0), sealed.register), Refused);
  for (const at of [40, 44, 46, 60, 1000, sealed.register.length - 3]) {
    assert.throws(() => checkRegistration(sealed.server, sealed.binding, flip(sealed.register, at)), Refused, `byte ${at}`);
  }

  const found = openRecord(identity, lookup, period, x.sealed);
  assert.equal(found.record.name, 'Alice');
  assert.deepEqual([found.relays[0].host, found.relays[0].port, found.issued], ['relay.example', 443, 1767268800000n]);
  assert.equal(hex(found.knockInbox), '07'.padEnd(64, '0'));
  const key = sealingKey('SREMP v1 rendezvous record key', identity, lookup, period);
  assert.equal(hex(sealPadded(key, x.sealed.slice(0, 24), x.blinded, found.bytes, 1024)), hex(x.sealed));
  assert.equal(hex(signBlinded(secret, 'SREMP v1 rendezvous record', concat(x.blinded, uint(period, 8), found.bytes.slice(0, -64)))), hex(found.signature));
  assert.throws(() => openRecord(identity, flip(lookup, 0), period, x.sealed), Refused);
  assert.throws(() => openRecord(identity, lookup, period + 1, x.sealed), Refused);
  for (let at = 0; at < x.sealed.length; at += 37) assert.throws(() => openRecord(identity, lookup, period, flip(x.sealed, at)), Refused);
});

test('an introduction', () => {
  const introduce = parse.introduce(sealed.introduce);
  assert.equal(hex(introduce.blinded), derived.blinded);
  const offerKey = sealingKey('SREMP v1 rendezvous offer key', identity, lookup, period);
  const answerKey = sealingKey('SREMP v1 rendezvous answer key', identity, lookup, period);
  assert.equal(hex(openPadded(offerKey, introduce.blinded, introduce.offer, introductionSizes)), hex(sealed.offer_text));
  const answer = parse.answer(sealed.answer);
  assert.equal(hex(openPadded(answerKey, sha256(introduce.offer), answer.answer, introductionSizes)), hex(sealed.answer_text));
  assert.throws(() => openPadded(answerKey, sha256(flip(introduce.offer, 9)), answer.answer, introductionSizes), Refused);
  assert.throws(() => openPadded(offerKey, introduce.blinded, introduce.offer.slice(1), introductionSizes), Refused);
  everyPrefix(sealed.introduce, parse.introduce);
  everyPrefix(sealed.answer, parse.answer);
});

test('frames of the connection', () => {
  const v = spaced('wire/testdata/rendezvous.txt');
  for (const [name, read] of Object.entries({ register: 'register', unregister: 'register', registered: 'registered', lookup: 'lookup', renew: 'renew', subscribe: 'subscribe', go: 'go', attest: 'attest' })) {
    everyPrefix(v[name], parse[read]);
    assert.throws(() => parse[read](concat(v[name], Uint8Array.of(0))), Refused, name);
  }
  assert.deepEqual([parse.go(v.go).status, parse.registered(v.registered).status], [6, 4]);
  const absent = concat(uint(5, 4), uint(1, 1), uint(0, 1), uint(0, 4), uint(0, 2), new Uint8Array(1064));
  assert.equal(parse.found(absent).status, 1);
  const there = concat(uint(5, 4), uint(0, 1), uint(1, 1), uint(60, 4), uint(1064, 2), parse.register(sealed.register).sealed);
  assert.equal(absent.length, there.length, 'absent and there have one size');
  everyPrefix(there, parse.found);
});
