// Times libsignal's Rust code through its package for Node. It reads lines
// "operation size count" and answers with nanoseconds.
//
// Each operation is one call into native code, which calls back for the session
// and the identity. "overhead" is a call of the same shape that ends early:
// encrypting for an address without a session asks the store and fails. What
// remains of an operation after that is taken off still contains its other
// callbacks, which cannot be timed apart; it is told as what it is.
import { createInterface } from 'node:readline';
import * as s from '@signalapp/libsignal-client';

class Sessions extends s.SessionStore {
  map = new Map();
  async saveSession(name, record) { this.map.set(name.toString(), record); }
  async getSession(name) { return this.map.get(name.toString()) ?? null; }
  async getExistingSessions(names) { return names.map((n) => this.map.get(n.toString())); }
}
class Identities extends s.IdentityKeyStore {
  constructor(key, id) { super(); this.key = key; this.id = id; this.known = new Map(); }
  async getIdentityKey() { return this.key; }
  async getIdentityKeyPair() { return new s.IdentityKeyPair(this.key.getPublicKey(), this.key); }
  async getLocalRegistrationId() { return this.id; }
  async saveIdentity(name, key) { this.known.set(name.toString(), key); return s.IdentityChange.NewOrUnchanged; }
  async isTrustedIdentity() { return true; }
  async getIdentity(name) { return this.known.get(name.toString()) ?? null; }
}
class Keys extends s.PreKeyStore {
  map = new Map();
  async savePreKey(id, r) { this.map.set(id, r); }
  async getPreKey(id) { return this.map.get(id); }
  async removePreKey(id) { this.map.delete(id); }
}
class Signed extends s.SignedPreKeyStore {
  map = new Map();
  async saveSignedPreKey(id, r) { this.map.set(id, r); }
  async getSignedPreKey(id) { return this.map.get(id); }
}
class Kyber extends s.KyberPreKeyStore {
  map = new Map();
  async saveKyberPreKey(id, r) { this.map.set(id, r); }
  async getKyberPreKey(id) { return this.map.get(id); }
  async markKyberPreKeyUsed() {}
}

function end(name, id) {
  const key = s.PrivateKey.generate();
  return {
    key, id, address: s.ProtocolAddress.new(name, 1), sessions: new Sessions(),
    identities: new Identities(key, id), keys: new Keys(), signed: new Signed(), kyber: new Kyber(),
  };
}

async function pair() {
  const a = end('a', 1), b = end('b', 2);
  const signedKey = s.PrivateKey.generate(), signature = b.key.sign(signedKey.getPublicKey().serialize());
  const oneKey = s.PrivateKey.generate();
  const kem = s.KEMKeyPair.generate(), kemSignature = b.key.sign(kem.getPublicKey().serialize());
  await b.keys.savePreKey(1, s.PreKeyRecord.new(1, oneKey.getPublicKey(), oneKey));
  await b.signed.saveSignedPreKey(1, s.SignedPreKeyRecord.new(1, Date.now(), signedKey.getPublicKey(), signedKey, signature));
  await b.kyber.saveKyberPreKey(1, s.KyberPreKeyRecord.new(1, Date.now(), kem, kemSignature));
  const bundle = s.PreKeyBundle.new(2, 1, 1, oneKey.getPublicKey(), 1, signedKey.getPublicKey(), signature,
    b.key.getPublicKey(), 1, kem.getPublicKey(), kemSignature);
  await s.processPreKeyBundle(bundle, b.address, a.address, a.sessions, a.identities);
  const first = await encrypt(a, b, new Uint8Array(1));
  await s.signalDecryptPreKey(s.PreKeySignalMessage.deserialize(first), a.address, b.address, b.sessions, b.identities,
    b.keys, b.signed, b.kyber);
  await decrypt(a, b, await encrypt(b, a, new Uint8Array(1)));
  await decrypt(b, a, await encrypt(a, b, new Uint8Array(1)));
  return { a, b };
}

async function encrypt(from, to, plain) {
  const m = await s.signalEncrypt(plain, to.address, from.address, from.sessions, from.identities);
  return m.serialize();
}

async function decrypt(to, from, msg) {
  return s.signalDecrypt(s.SignalMessage.deserialize(msg), from.address, to.address, to.sessions, to.identities);
}

// Of these only the last call is timed. A refused message changes nothing that
// was stored.
const timed = {
  async skip1000({ a, b }, plain) {
    const msgs = await ahead(a, b, plain, 1001);
    const saved = s.SessionRecord.deserialize((await b.sessions.getSession(a.address)).serialize());
    const took = await time(() => decrypt(b, a, msgs[1000]));
    await b.sessions.saveSession(a.address, saved);
    for (const msg of msgs) await decrypt(b, a, msg);
    return took;
  },
  async late({ a, b }, plain) {
    const msgs = await ahead(a, b, plain, 1001);
    await decrypt(b, a, msgs[1000]);
    return time(() => decrypt(b, a, msgs[500]));
  },
  async forged({ a, b }, plain) {
    const msg = await encrypt(a, b, plain), bad = Uint8Array.from(msg);
    bad[bad.length - 1] ^= 1;
    const took = await time(() => decrypt(b, a, bad).then(() => { throw new Error('taken'); }, () => {}));
    await decrypt(b, a, msg);
    return took;
  },
};

async function ahead(a, b, plain, n) {
  const msgs = [];
  for (let i = 0; i < n; i++) msgs.push(await encrypt(a, b, plain));
  return msgs;
}

async function time(op) {
  const start = process.hrtime.bigint();
  await op();
  return process.hrtime.bigint() - start;
}

const nobody = s.ProtocolAddress.new('nobody', 1);
const operations = {
  async encrypt({ a, b }, plain) { await encrypt(a, b, plain); },
  async both({ a, b }, plain) { await decrypt(b, a, await encrypt(a, b, plain)); },
  async pingpong(p, plain) {
    await decrypt(p.b, p.a, await encrypt(p.a, p.b, plain));
    [p.a, p.b] = [p.b, p.a];
  },
  async overhead({ a }, plain) {
    try {
      await s.signalEncrypt(plain, nobody, a.address, a.sessions, a.identities);
    } catch { return; }
    throw new Error('a session with nobody');
  },
};

const pairs = {};
for (const name of Object.keys({ ...operations, ...timed })) pairs[name] = await pair();
for await (const line of createInterface({ input: process.stdin })) {
  const [name, size, count] = line.split(' ');
  const plain = new Uint8Array(Number(size)).fill(1);
  if (timed[name]) {
    let sum = 0n;
    for (let i = 0; i < Number(count); i++) sum += await timed[name](pairs[name], plain);
    console.log(String(sum));
    continue;
  }
  const start = process.hrtime.bigint();
  for (let i = 0; i < Number(count); i++) await operations[name](pairs[name], plain);
  console.log(String(process.hrtime.bigint() - start));
}
