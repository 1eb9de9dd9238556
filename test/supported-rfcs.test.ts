import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PROTOCOLS } from '../src/builtin-protocols.ts';
import { createRegistry } from '../src/kernel/registry.ts';
import { credential } from '../src/records/credential.ts';
import { titlesIn } from './rows/list.ts';
import { APART } from './run.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** A test that is there and is left out shows nothing. */
const LEFT_OUT = /\b(?:skip|todo|only)\b/;

test('docs/SupportedRFCs.md names the protocols and roles that are disclosed to peers, and for each a test that the suite runs', () => {
  const suite = globSync('test/**/*.test.ts', { cwd: ROOT }).filter((file) => !APART.some((prefix) => file.startsWith(prefix)));
  const registry = createRegistry(PROTOCOLS as never, [credential as never]);
  const notified = registry.features('*').map(({ uri, roles }) => [uri, (roles ?? ['any']).join(', ')]);
  const rows = readFileSync(`${ROOT}docs/SupportedRFCs.md`, 'utf8').matchAll(
    /^\|[^|]+\| `((?:https|urn):[^`]+)` \| ([^|]+) \|[^|]+\| `([^`]+)`: ([^|]+) \|$/gm,
  );
  const written = [...rows].map(([, uri, roles, file, title]) => {
    assert.ok(suite.includes(file!), `${file} is not among what ./flexid test runs`);
    const text = readFileSync(`${ROOT}${file}`, 'utf8');
    // an id in brackets may come before
    const found = titlesIn(text).filter((one) => one.replace(/^(\[[A-Z0-9-]+\] )+/, '').startsWith(title!));
    assert.equal(found.length, 1, `${file} has ${found.length} tests "${title}"`);
    const at = text.indexOf(found[0]!);
    assert.doesNotMatch(text.slice(at + found[0]!.length, text.indexOf('=>', at)), LEFT_OUT, `${file}: "${title}" may be left out`);
    return [uri!, roles!.trim()];
  });
  assert.deepEqual(written.sort(), notified.sort());
});
