// Spec §8.1 against wire/testdata/client.txt.

import assert from 'node:assert/strict';
import test from 'node:test';
import { conversation, pad, parsePadded, readPayload } from '../decoder/payload.mjs';
import { Reader, Refused, concat, everyPrefix, hex } from '../decoder/wire.mjs';
import { spaced } from './vectors.mjs';

const v = spaced('wire/testdata/client.txt');

test('payloads', () => {
  for (const [name, type] of [['payload-text', 0x01], ['payload-ack', 0x80]]) {
    const r = new Reader(v[name]);
    const payload = readPayload(r);
    assert.equal(payload.type, type);
    const padded = pad(v[name].slice(0, r.at));
    assert.equal(hex(padded), hex(v[name]));
    assert.deepEqual(parsePadded(padded), payload);
    everyPrefix(padded, parsePadded);
    padded[padded.length - 1] = 1;
    assert.throws(() => parsePadded(padded), Refused, 'with another padding');
    assert.throws(() => parsePadded(concat(v[name].slice(0, r.at), new Uint8Array(4096 - r.at))), Refused, 'in a larger bucket');
  }
});

test('a conversation has one name for both', () => {
  const [a, b] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  assert.equal(hex(conversation(a, b)), hex(conversation(b, a)));
  assert.notEqual(hex(conversation(a, b)), hex(conversation(a, a)));
});
