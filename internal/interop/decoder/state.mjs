// Spec §4.5.2: the stored state of all sessions with one device.

import { Reader, isZero, refuse } from './wire.mjs';

const small = (value) => {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) refuse('larger than its limit');
  return Number(value);
};

const readStoredKeys = (r) => Array.from({ length: small(r.number()) }, () => {
  const stored = { n: r.uint(4), key: r.opaque(32) };
  if (isZero(stored.key)) refuse('not in canonical form');
  return stored;
});

const readSession = (r) => {
  const s = { flags: r.uint(1), strays: r.uint(1) };
  for (const name of ['generation', 'created', 'received', 'sent', 'expected', 'pn', 'lost', 'pqEpoch', 'pqSince', 'pqSteps', 'pqCount']) {
    s[name] = r.number();
  }
  s.pqPhase = r.uint(1);
  s.pqWait = r.uint(1);
  if (s.strays > 7 || s.pqSteps > 64n || s.pqCount > 8192n || s.pqPhase > 3 || s.pqWait > 15) refuse('larger than its limit');
  s.sessionID = r.opaque(16);
  s.root = r.opaque(32);
  if ((s.flags & 12) === 0) refuse('not in canonical form');
  if (s.flags & 8) Object.assign(s, { receivingChain: r.opaque(32), receivingHeader: r.opaque(32) });
  if (s.flags & 4) {
    Object.assign(s, { dhPrivate: r.opaque(32), dhPublic: r.opaque(32), sendingChain: r.opaque(32), sendingHeader: r.opaque(32), nextReceivingHeader: r.opaque(32) });
  } else {
    Object.assign(s, { remoteDH: r.opaque(32), nextSendingHeader: r.opaque(32) });
  }
  s.agreement = r.opaque(small(r.number()));
  switch (s.pqPhase) {
    case 1:
      Object.assign(s, { pqSeed: r.opaque(64), pqKey: r.opaque(1184) });
      break;
    case 2:
      s.pqSecret = r.opaque(32);
      break;
    case 3:
      Object.assign(s, { pqSecret: r.opaque(32), pqCiphertext: r.opaque(1088) });
  }
  s.skipped = readStoredKeys(r);
  s.old = Array.from({ length: r.uint(1) }, () => {
    const chain = { header: r.opaque(32), lost: r.number(), skipped: readStoredKeys(r) };
    if (chain.skipped.length === 0) refuse('not in canonical form');
    return chain;
  });
  return s;
};

export const parsePeer = (bytes) => {
  const r = new Reader(bytes);
  if (r.uint(1) !== 1) refuse('another format');
  const peer = { pair: r.opaque(16), epoch: r.number() };
  const tags = r.uint(1);
  if (tags > 8) refuse('larger than its limit');
  peer.tags = Array.from({ length: tags }, () => r.opaque(4));
  const hashes = small(r.number());
  if (hashes > 256) refuse('larger than its limit');
  peer.hashes = Array.from({ length: hashes }, () => ({ hash: r.opaque(16), lastResortID: r.number() }));
  const sessions = r.uint(1);
  if (sessions < 1 || sessions > 4) refuse('larger than its limit');
  peer.sessions = Array.from({ length: sessions }, () => readSession(r));
  r.end();
  return peer;
};
