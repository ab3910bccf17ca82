// Spec §4 against ratchet/testdata/vectors.txt: every message is opened by the
// receiver and, from the same random keys, made again by the sender.

import assert from 'node:assert/strict';
import test from 'node:test';
import { devicePair, mlkemPublic, parseAgreement, parseBundle, parseInitial, parseOneTime, respond } from '../decoder/agreement.mjs';
import { publicX25519 } from '../decoder/keys.mjs';
import { Session, appendHeader, kdfChain, kdfRoot, nextHeader, openBody, openHeader } from '../decoder/ratchet.mjs';
import { parsePeer } from '../decoder/state.mjs';
import { Refused, everyPrefix, hex, isZero } from '../decoder/wire.mjs';
import { Cursor, equals } from './vectors.mjs';

const sections = equals('ratchet/testdata/vectors.txt');
const section = (title) => {
  const found = sections.filter((s) => s.title.startsWith(title));
  assert.notEqual(found.length, 0, title);
  return found;
};
const same = (got, want, what) => assert.equal(hex(got), hex(want), what);

test('key derivations', () => {
  const [rk] = section('§4.3.2 KDF_RK');
  const c = new Cursor(rk.entries);
  while (c.peek()) {
    const { root, chain } = kdfRoot(c.take('root'), c.take('dh'), c.take('pq'));
    same(root, c.take('next_root'));
    same(chain, c.take('chain'));
    same(nextHeader(root), c.take('next_header'));
  }
  const ck = new Cursor(section('§4.3.2 KDF_CK')[0].entries);
  const out = kdfChain(ck.take('chain'));
  same(out.chain, ck.take('next_chain'));
  same(out.messageKey, ck.take('message_key'));
  const pair = new Cursor(section('§4.5.2 device pair')[0].entries);
  const ids = pair.take('own_then_remote');
  same(devicePair(ids.slice(0, 32), ids.slice(32, 48), ids.slice(48, 80), ids.slice(80)), pair.take('pair'));
});

// conversations are the parts of the file from one "§4.1 prekeys" to the next.
const conversations = () => {
  const starts = sections.flatMap((s, i) => (s.title.startsWith('§4.1 prekeys') ? [i] : []));
  return starts.map((start, i) => {
    const part = sections.slice(start, starts[i + 1]);
    return { title: part[0].title, entries: part.flatMap((s) => s.entries) };
  });
};

const readPrekeys = (c) => {
  const prekeys = { signedPrekey: c.take('signed_prekey_private'), lastResortSeed: c.take('last_resort_seed') };
  const bundleBytes = c.take('bundle');
  everyPrefix(bundleBytes, parseBundle);
  const bundle = parseBundle(bundleBytes);
  same(bundle.hash, c.take('bundle_hash'));
  same(bundle.signedPrekey, publicX25519(prekeys.signedPrekey));
  same(bundle.lastResort, mlkemPublic(prekeys.lastResortSeed));
  prekeys.oneTimeKey = c.takeIf('one_time_private');
  let oneTime;
  if (prekeys.oneTimeKey) {
    prekeys.oneTimeSeed = c.take('one_time_seed');
    const bytes = c.take('one_time');
    everyPrefix(bytes, (part) => parseOneTime(part, bundle));
    assert.throws(() => parseOneTime(bytes.map((b, i) => (i === 900 ? b ^ 1 : b)), bundle), Refused);
    oneTime = parseOneTime(bytes, bundle);
    same(oneTime.x25519, publicX25519(prekeys.oneTimeKey));
    same(oneTime.mlkem, mlkemPublic(prekeys.oneTimeSeed));
  }
  return { prekeys, bundle, oneTime };
};

const agree = (c) => {
  const { prekeys, bundle, oneTime } = readPrekeys(c);
  const initiatorKey = c.take('initiator_agreement_private');
  prekeys.agreementKey = c.take('responder_agreement_private');
  const psk = c.take('psk');
  const bytes = c.take('agreement');
  everyPrefix(bytes, parseAgreement);
  const agreement = parseAgreement(bytes);
  same(agreement.record.agreement, publicX25519(initiatorKey));
  const keys = respond({ agreement, bundle, oneTime, psk: isZero(psk) ? undefined : psk, prekeys });
  same(keys.sessionID, c.take('session_id'));
  same(keys.header, c.take('initiator_header_key'));
  same(nextHeader(keys.root), c.take('responder_header_key'));

  const ratchetKey = c.take('ratchet_private');
  const lower = Buffer.compare(agreement.record.identity, bundle.record.identity) < 0;
  const initiator = Session.initiator({ ...keys, signedPrekey: bundle.signedPrekey, ratchetKey, lower });
  const responder = Session.responder({ ...keys, signedPrekeyPrivate: prekeys.signedPrekey, lower: !lower });
  same(initiator.root, c.take('root'));
  same(initiator.sendChain, c.take('chain'));
  return { initiator, responder, agreementBytes: bytes };
};

const compareState = (state, session, what) => {
  const [stored] = parsePeer(state).sessions;
  same(stored.sessionID, session.sessionID, what);
  same(stored.root, session.root, what);
  assert.equal(Number(stored.pqEpoch), session.epoch, what);
  assert.equal(Number(stored.expected), session.expected, what);
  if (stored.flags & 8) same(stored.receivingHeader, session.receiveHeader, what);
  if (stored.flags & 8) same(stored.receivingChain, session.receiveChain, what);
  assert.equal((stored.flags & 4) !== 0, session.sendChain !== undefined, what);
  if (stored.flags & 4) {
    same(stored.sendingChain, session.sendChain, what);
    same(stored.sendingHeader, session.sendHeader, what);
    same(stored.dhPrivate, session.own, what);
    same(stored.nextReceivingHeader, session.nextReceiveHeader, what);
  } else {
    same(stored.remoteDH, session.remote, what);
    same(stored.nextSendingHeader, session.nextSendHeader, what);
  }
};

for (const { title, entries } of conversations()) {
  test(`an agreement and an exchange: ${title}`, () => {
    const c = new Cursor(entries);
    const { initiator, responder, agreementBytes } = agree(c);
    let messages = 0;
    let kinds = 0;
    let answer;
    while (c.peek()) {
      if (c.peek() === 'state') {
        for (const state of [c.take('state'), c.take('state')]) {
          everyPrefix(state, parsePeer);
          const [stored] = parsePeer(state).sessions;
          compareState(state, stored.flags & 1 ? initiator : responder, `state after message ${messages}`);
        }
        continue;
      }
      const rootBefore = c.takeIf('root_before');
      const ratchetKey = c.takeIf('step_private');
      const fresh = {};
      for (const name of ['message_key', 'header_key', 'header', 'plaintext', 'message']) if (c.peek() === name) fresh[name] = c.take(name);

      // Two messages of the initiator, then one of each side.
      const [sender, receiver] = messages < 2 || messages % 2 === 1 ? [initiator, responder] : [responder, initiator];
      let ratchetMessage = fresh.message;
      if (fresh.message[1] === 2) {
        const initial = parseInitial(fresh.message);
        same(initial.agreement, agreementBytes);
        ratchetMessage = initial.message;
      }
      assert.equal(sender.needsStep(), ratchetKey !== undefined, `message ${messages}`);
      if (rootBefore) same(sender.root, rootBefore);

      const opened = openHeader(ratchetMessage, fresh.header_key);
      same(opened.bytes, fresh.header);
      same(appendHeader(opened.header), fresh.header);
      // What was sent and did not arrive.
      while (!sender.needsStep() && sender.sent < opened.header.n) sender.encrypt(new Uint8Array(1));

      let vector;
      if (opened.header.pqKind === 1) {
        vector = sender.offer(c.take('decapsulation_seed'));
        same(vector.bytes, c.take('encapsulation_key'));
        kinds++;
      } else if (opened.header.pqKind === 2) {
        vector = sender.answer(answer);
        kinds++;
      }
      same(sender.encrypt(fresh.plaintext, { ratchetKey, vector, flags: opened.header.flags }), ratchetMessage, `message ${messages}`);
      if (fresh.message_key) same(openBody(initiator.sessionID, opened, fresh.message_key), fresh.plaintext);

      const before = hex(receiver.root);
      for (const at of [2, 40, 75, ratchetMessage.length - 1]) {
        assert.throws(() => receiver.decrypt(ratchetMessage.map((b, i) => (i === at ? b ^ 1 : b))), Refused);
      }
      assert.equal(hex(receiver.root), before, 'a forged message leaves no trace');
      same(receiver.decrypt(ratchetMessage), fresh.plaintext, `message ${messages}`);
      assert.throws(() => receiver.decrypt(ratchetMessage), Refused, 'a message key is used once');
      const rootAfter = c.takeIf('root_after');
      if (rootAfter) same(sender.root, rootAfter);
      if (c.peek() === 'secret') answer = { secret: c.take('secret'), ciphertext: c.take('ciphertext') };
      messages++;
    }
    assert.equal(messages, 8);
    assert.equal(kinds, 2, 'a post-quantum key and a ciphertext');
    assert.equal(initiator.epoch, 1);
    assert.equal(responder.epoch, 1);
  });
}
