// Spec §8.3 against client/testdata/knock.txt.

import assert from 'node:assert/strict';
import test from 'node:test';
import { knockPublic, openKnock, parseKnock } from '../decoder/knock.mjs';
import { Refused, everyPrefix, hex } from '../decoder/wire.mjs';
import { equals } from './vectors.mjs';

test('a knock is opened', () => {
  const v = Object.fromEntries(equals('client/testdata/knock.txt').at(-1).entries);
  assert.equal(hex(knockPublic(v.private)), hex(v.public));
  assert.equal(hex(openKnock(v.private, v.sealed)), hex(v.knock));
  everyPrefix(v.knock, parseKnock);
  const knock = parseKnock(v.knock);
  assert.equal(hex(knock.token), '01'.repeat(32));
  assert.equal(Buffer.from(knock.message).toString(), 'an initial message');
  for (const at of [0, 1100, v.sealed.length - 1]) {
    assert.throws(() => openKnock(v.private, v.sealed.map((b, i) => (i === at ? b ^ 1 : b))), Refused);
  }
});
