import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createRegistry } from '../src/kernel/registry.ts';
import { credential } from '../src/records/credential.ts';
import { PROTOCOLS } from '../src/spoken.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

test('docs/SupportedRFCs.md names the protocols and roles that are disclosed to peers, and tests that exist', () => {
  const registry = createRegistry(PROTOCOLS as never, [credential as never]);
  const told = registry.features('*').map(({ uri, roles }) => [uri, (roles ?? ['any']).join(', ')]);
  const rows = readFileSync(`${ROOT}docs/SupportedRFCs.md`, 'utf8').matchAll(
    /^\|[^|]+\| `((?:https|urn):[^`]+)` \| ([^|]+) \|[^|]+\| `([^`]+)` \|$/gm,
  );
  const written = [...rows].map(([, uri, roles, file]) => {
    assert.ok(existsSync(`${ROOT}${file}`), `${file} does not exist`);
    return [uri!, roles!.trim()];
  });
  assert.deepEqual(written.sort(), told.sort());
});
