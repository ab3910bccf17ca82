// Spec §2 against identity/testdata/vectors.txt.

import assert from 'node:assert/strict';
import test from 'node:test';
import { checkName, follow, parsePeerID, parseRecord, peerIDText, serverKeys, verificationWords } from '../decoder/identity.mjs';
import { appendInvite, codeKeys, codeWords, inviteKey, inviteText, openSealed, parseInvite, parseInviteText } from '../decoder/invite.mjs';
import { publicEd25519, publicX25519, sign } from '../decoder/keys.mjs';
import { Reader, Refused, concat, everyPrefix, hex, unhex, utf8 } from '../decoder/wire.mjs';
import { colons } from './vectors.mjs';

const v = colons('identity/testdata/vectors.txt');
const seed = (b) => new Uint8Array(32).fill(b);
const alice = publicEd25519(seed(1));
const flip = (bytes, at) => bytes.map((b, i) => (i === at ? b ^ 1 : b));

test('a peer id and its text', () => {
  assert.equal(peerIDText(alice), v['peer id']);
  assert.equal(hex(parsePeerID(v['peer id'].toUpperCase().replaceAll('-', ' '))), hex(alice));
  assert.throws(() => parsePeerID(v['peer id'].replace('r', 'q')), Refused);
});

test('a record is verified', () => {
  const record = parseRecord(unhex(v.record));
  assert.equal(hex(record.identity), hex(alice));
  assert.equal(hex(record.noise), hex(publicX25519(seed(2))));
  assert.equal(hex(record.agreement), hex(publicX25519(seed(3))));
  assert.equal(hex(record.recovery), hex(publicEd25519(seed(5))));
  assert.equal(record.name, 'Alice');
  assert.deepEqual([record.flags, record.epoch, record.version, record.created], [0, 0, 1n, 1800000000n]);
  assert.equal(hex(record.hash), v['record hash']);
  assert.equal(v.record.endsWith(hex(sign(seed(1), 'SREMP v1 identity record', unhex(v.record).slice(0, -64)))), true, 'Ed25519 is deterministic');
});

test('a record with any bit changed is refused, and so is every part of it', () => {
  const record = unhex(v.record);
  for (let at = 0; at < record.length; at++) assert.throws(() => parseRecord(flip(record, at)), Refused, `byte ${at}`);
  everyPrefix(record, parseRecord);
  assert.throws(() => parseRecord(concat(record, Uint8Array.of(0))), Refused);
});

test('a record of a later epoch follows by the recovery key', () => {
  const first = parseRecord(unhex(v.record));
  const second = parseRecord(unhex(v['record in epoch 1']));
  assert.equal(hex(second.signer), hex(publicEd25519(seed(9))));
  assert.equal(hex(second.prev), v['record hash']);
  assert.deepEqual([follow(first, second), follow(second, first), follow(first, first)], ['newer', 'older', 'the same']);
  assert.throws(() => parseRecord(flip(second.bytes, second.bytes.length - 100)), Refused);
});

test('names', () => {
  for (const name of ['alice', 'Ann B', 'Ω', '\u0915\u094d\u200d\u0937', 'x'.repeat(40)]) checkName(name);
  for (const name of ['', ' a', 'a ', 'a  b', 'a\u00a0b', 'a\u200db', 'a\u202eb', '\u0301a', '\u2800', 'x'.repeat(41), 'a\nb', '\ue000']) {
    assert.throws(() => checkName(name), Refused, JSON.stringify(name));
  }
});

test('verification words', () => {
  const other = publicEd25519(seed(0x14));
  assert.equal(peerIDText(other), v['other peer id']);
  assert.equal(verificationWords(alice, other).join(' '), v.words);
  assert.equal(verificationWords(other, alice).join(' '), v.words);
});

test('an invite', () => {
  const invite = parseInviteText(v.invite);
  assert.equal(hex(invite.peer), hex(alice));
  assert.equal(invite.name, 'Alice');
  assert.deepEqual(['secret', 'lookup', 'knockInbox'].map((n) => hex(invite[n])), ['01', '02', '03'].map((b) => b.padEnd(64, '0')));
  for (const use of ['knock', 'psk', 'hello', 'introduction']) assert.equal(hex(inviteKey(invite, use)), v[`invite ${use}`]);
  assert.equal(hex(invite.relays[0].id), hex(serverKeys(utf8('r'.repeat(32))).id));
  assert.equal(hex(invite.rendezvous[0].id), hex(serverKeys(utf8('v'.repeat(32))).id));
  everyPrefix(invite.structure, parseInvite);
  for (const text of [v.invite, v['invite, least']]) {
    assert.equal(inviteText(appendInvite(parseInviteText(text))), text);
    assert.equal(hex(parseInviteText(text.toUpperCase()).peer), hex(alice));
    assert.throws(() => parseInviteText(text.slice(0, -1)), Refused);
  }
});

test('an invite in words', () => {
  const ten = unhex('00010203040506070809');
  assert.equal(codeWords(ten).join(' '), 'abandon amount liar amount expire adjust cage cover');
  assert.equal(hex(codeKeys(ten).inbox).slice(0, 16), '990111b153840a48');
});

test('a secret under a passphrase', () => {
  assert.equal(Buffer.from(openSealed(unhex(v.sealed), 'correct horse', 'SREMP v1 test')).toString(), 'secret');
  assert.throws(() => openSealed(unhex(v.sealed), 'wrong horse', 'SREMP v1 test'), Refused);
  assert.throws(() => openSealed(unhex(v.sealed), 'correct horse', 'SREMP v1 other'), Refused);
});

test('the secret identity of a device holds the keys of its record', () => {
  const r = new Reader(unhex(v['secret identity']));
  assert.equal(r.uint(1), 1);
  assert.equal(hex(r.opaque(16)), '04'.repeat(16));
  assert.equal(hex(publicEd25519(r.opaque(32))), hex(alice));
  assert.equal(r.vector(0, 32).length, 0);
  const [noise, agreement] = [r.opaque(32), r.opaque(32)];
  assert.equal(r.uint(1), 0);
  const record = parseRecord(r.vector(1, 8192));
  r.end();
  assert.deepEqual([hex(publicX25519(noise)), hex(publicX25519(agreement))], [hex(record.noise), hex(record.agreement)]);
});
