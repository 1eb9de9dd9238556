import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const library = process.env.LIB_ANONCREDS_PATH;
const skip = library !== undefined && existsSync(library) ? false : 'LIB_ANONCREDS_PATH names no folder';
const urlOf = (path: string): string => new URL(path, import.meta.url).href;

/** The public moduli of two definitions of one schema, and what the second is called, in a process that keeps keys. */
function definitions(folder: string): { moduli: string[]; named: string[] } {
  const script = `
    import { openAnonCreds } from ${JSON.stringify(urlOf('../../src/adapters/anoncreds/anoncreds.ts'))};
    const engine = openAnonCreds({ libraryPath: process.env.LIB_ANONCREDS_PATH, checkPresentation: () => [], workers: 1 });
    const schema = { name: 'n', version: '1', issuerId: 'did:x:y', attrNames: ['name'] };
    const moduli = [];
    let last;
    for (const tag of ['a', 'b']) {
      last = (await engine.createCredentialDefinition('one', { schemaId: 'did:x:y/s', schema, issuerId: 'did:x:y', tag })).credentialDefinition;
      moduli.push(last.value.primary.n);
    }
    console.log(JSON.stringify({ moduli, named: [last.schemaId, last.issuerId, last.tag] }));
    await engine.close();`;
  const { FLEXID_KEYS_TAKEN: _ours, FLEXID_NEW_KEYS: _new, ...env } = process.env;
  const file = join(folder, 'definitions.mjs');
  writeFileSync(file, script);
  const { stdout, stderr } = spawnSync(process.execPath, [file], {
    encoding: 'utf8',
    env: { ...env, NODE_OPTIONS: `--import=${urlOf('./kept-keys.mjs')}` },
  });
  assert.ok(stdout, stderr);
  return JSON.parse(stdout);
}

test('a kept key serves one definition of a test file, and the next file', { skip }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-kept-keys-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { moduli, named } = definitions(folder);
  assert.notEqual(moduli[0], moduli[1]);
  assert.deepEqual(named, ['did:x:y/s', 'did:x:y', 'b']);
  assert.deepEqual(definitions(folder).moduli, moduli);
});
