// Reads the vectors that the Go tests wrote and check in.

import { readFileSync } from 'node:fs';
import { unhex } from '../decoder/wire.mjs';

const root = new URL('../../../', import.meta.url);

const lines = (path) => readFileSync(new URL(path, root), 'utf8').split('\n');

// colons reads "name: value" lines into an object of texts.
export const colons = (path) =>
  Object.fromEntries(lines(path).filter((l) => l.includes(': ')).map((l) => {
    const at = l.indexOf(': ');
    return [l.slice(0, at), l.slice(at + 2)];
  }));

// spaced reads "name hex" lines.
export const spaced = (path) =>
  Object.fromEntries(lines(path).filter((l) => /^[a-z]/.test(l)).map((l) => {
    const [name, value] = l.split(' ');
    return [name, unhex(value)];
  }));

// equals reads "name = hex" lines under "# title" lines: [{title, entries: [[name, bytes]]}].
export const equals = (path) => {
  const sections = [];
  for (const line of lines(path)) {
    if (line.startsWith('# ')) sections.push({ title: line.slice(2), entries: [] });
    const entry = /^([a-z0-9_]+) = ([0-9a-f]*)$/.exec(line);
    if (entry) sections.at(-1).entries.push([entry[1], unhex(entry[2])]);
  }
  return sections;
};

// Cursor takes entries in their order and says so when another one stands there.
export class Cursor {
  constructor(entries) {
    this.entries = [...entries];
  }

  peek() {
    return this.entries[0]?.[0];
  }

  take(name) {
    const entry = this.entries.shift();
    if (entry?.[0] !== name) throw new Error(`got ${entry?.[0]}, want ${name}`);
    return entry[1];
  }

  takeIf(name) {
    return this.peek() === name ? this.take(name) : undefined;
  }
}
