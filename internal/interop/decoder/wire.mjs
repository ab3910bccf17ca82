// Spec §1.1: the presentation language.

export class Refused extends Error {}

export const refuse = (reason) => {
  throw new Refused(reason);
};

const texts = new TextDecoder('utf-8', { fatal: true });

export const utf8 = (text) => new TextEncoder().encode(text);

export const hex = (bytes) => Buffer.from(bytes).toString('hex');

export const unhex = (text) => {
  if (!/^([0-9a-f]{2})*$/.test(text)) refuse(`not hexadecimal: ${text.slice(0, 20)}`);
  return new Uint8Array(Buffer.from(text, 'hex'));
};

export const concat = (...parts) => new Uint8Array(Buffer.concat(parts));

export const equal = (a, b) => Buffer.compare(a, b) === 0;

export const isZero = (bytes) => bytes.every((b) => b === 0);

// The bytes of a length whose maximum is given: one up to 2^8-1, and so on.
const lengthBytes = (max) => (max < 1 << 8 ? 1 : max < 1 << 16 ? 2 : 3);

// uint gives size bytes, big-endian; value is a number or a bigint.
export const uint = (value, size) => {
  let rest = BigInt(value);
  const out = new Uint8Array(size);
  for (let i = size - 1; i >= 0; i--) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  if (rest !== 0n) throw new RangeError(`${value} in ${size} bytes`);
  return out;
};

// vector gives opaque x<min..max>.
export const vector = (bytes, min, max) => {
  if (bytes.length < min || bytes.length > max) throw new RangeError(`${bytes.length} bytes`);
  return concat(uint(bytes.length, lengthBytes(max)), bytes);
};

export class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  opaque(length) {
    if (this.bytes.length - this.at < length) refuse('truncated');
    this.at += length;
    return this.bytes.slice(this.at - length, this.at);
  }

  // integer of at most 6 bytes; longer ones are bigints: uint64.
  uint(size) {
    return Number(this.opaque(size).reduce((sum, b) => sum * 256n + BigInt(b), 0n));
  }

  uint64() {
    return this.opaque(8).reduce((sum, b) => sum * 256n + BigInt(b), 0n);
  }

  vector(min, max) {
    const length = this.uint(lengthBytes(max));
    if (length > max) refuse('larger than its limit');
    if (length < min) refuse('not in canonical form');
    return this.opaque(length);
  }

  text(min, max) {
    const bytes = this.vector(min, max);
    try {
      return texts.decode(bytes);
    } catch {
      return refuse('not UTF-8');
    }
  }

  // §1.3: strictly ascending types.
  extensions() {
    const inner = new Reader(this.vector(0, 1 << 15));
    const found = [];
    while (!inner.done()) {
      const type = inner.uint(2);
      if (found.length > 0 && found.at(-1).type >= type) refuse('not in canonical form');
      found.push({ type, data: inner.vector(0, 1 << 15) });
    }
    return found;
  }

  // §4.5.2: base 128, least significant group first, as short as possible.
  number() {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const b = this.uint(1);
      value |= BigInt(b & 0x7f) << shift;
      if (value >= 1n << 64n) refuse('larger than its limit');
      if (b < 0x80) {
        if (b === 0 && shift > 0n) refuse('not in canonical form');
        return value;
      }
    }
  }

  done() {
    return this.at === this.bytes.length;
  }

  end() {
    if (!this.done()) refuse('bytes after the end');
  }
}

// everyPrefix shows that parse takes the whole of bytes and no part of it. Of
// what is long it tries every 41st length, and the last ones.
export const everyPrefix = (bytes, parse) => {
  parse(bytes);
  for (let length = 0; length < bytes.length; length++) {
    if (bytes.length > 1000 && length % 41 !== 0 && bytes.length - length > 20) continue;
    let taken = true;
    try {
      parse(bytes.slice(0, length));
    } catch (err) {
      if (!(err instanceof Refused)) throw err;
      taken = false;
    }
    if (taken) throw new Error(`the first ${length} of ${bytes.length} bytes were taken for the whole`);
  }
};
