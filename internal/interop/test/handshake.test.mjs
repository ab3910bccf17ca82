// Spec §3 against handshake/testdata/transcripts.txt: both sides are run, with
// the ephemeral keys of the vectors, and must say the same bytes.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Side, appendPayload, checkCertificate, checkRecord, parsePayload, patterns, prologue } from '../decoder/handshake.mjs';
import { publicX25519 } from '../decoder/keys.mjs';
import { Refused, everyPrefix, hex } from '../decoder/wire.mjs';
import { equals } from './vectors.mjs';

const empty = new Uint8Array(0);

const transcripts = Object.fromEntries(equals('handshake/testdata/transcripts.txt')
  .filter((s) => s.title in patterns)
  .map((s) => [s.title, Object.fromEntries(s.entries)]));

const sides = (pattern, v, changed = {}) => {
  const common = { pattern, prologue: v.prologue, ...changed };
  const initiator = new Side({
    ...common, initiator: true, staticKey: v.initiator_static_private, ephemeral: v.initiator_ephemeral_private,
    remoteStatic: pattern === 'IK' ? publicX25519(v.responder_static_private) : undefined,
  });
  const responder = new Side({ ...common, initiator: false, staticKey: v.responder_static_private, ephemeral: v.responder_ephemeral_private });
  return { initiator, responder };
};

// what is said in the three messages, and by which call
const steps = (pattern, v) => [
  { payload: empty },
  { payload: appendPayload(v.responder_credential) },
  { payload: appendPayload(v.initiator_credential ?? empty), confirmation: pattern !== 'XX' },
];

for (const pattern of Object.keys(patterns)) {
  test(`a handshake of pattern ${pattern}`, () => {
    const v = transcripts[pattern];
    assert.equal(hex(prologue(pattern, Buffer.from(v.alpn).toString(), v.exporter)), hex(v.prologue));
    const { initiator, responder } = sides(pattern, v);
    steps(pattern, v).forEach(({ payload, confirmation }, i) => {
      const [from, to] = i % 2 === 0 ? [initiator, responder] : [responder, initiator];
      const want = v[`message_${i + 1}`];
      assert.equal(hex(confirmation ? from.writeConfirmation(payload) : from.write(payload)), hex(want), `message ${i + 1}`);
      const got = confirmation ? to.readConfirmation(want) : to.read(want);
      assert.equal(hex(got), hex(payload));
      if (i > 0) everyPrefix(payload, parsePayload);
    });

    const { credential } = parsePayload(appendPayload(v.responder_credential));
    if (pattern === 'NX') {
      checkCertificate(credential, initiator.rs, v.server_id);
      assert.throws(() => checkCertificate(credential, initiator.rs, v.prologue.slice(0, 32)), Refused);
      assert.throws(() => checkCertificate(credential, initiator.re, v.server_id), Refused);
      assert.equal(responder.rs, undefined, 'the client is nobody');
    } else {
      checkRecord(credential, initiator.rs);
      checkRecord(v.initiator_credential, responder.rs);
      assert.throws(() => checkRecord(v.initiator_credential, initiator.rs), Refused);
    }
    assert.equal(hex(initiator.keys().channel), hex(v.channel_key));
    assert.equal(hex(responder.keys().channel), hex(v.channel_key));
  });

  test(`another exporter, or a changed message, ends pattern ${pattern}`, () => {
    const v = transcripts[pattern];
    const other = v.exporter.map((b) => b ^ 1);
    const { responder } = sides(pattern, v, { prologue: prologue(pattern, Buffer.from(v.alpn).toString(), other) });
    const read = (side, i, message) => (i === 2 && pattern !== 'XX' ? side.readConfirmation(message) : side.read(message));
    assert.throws(() => {
      read(responder, 0, v.message_1);
      responder.write(appendPayload(v.responder_credential));
      read(responder, 2, v.message_3);
    }, Refused);
    for (const at of [0, 40, v.message_2.length - 1]) {
      const { initiator } = sides(pattern, v);
      initiator.write(empty);
      assert.throws(() => read(initiator, 1, v.message_2.map((b, i) => (i === at ? b ^ 1 : b))), Refused, `byte ${at}`);
    }
  });
}
