import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newKeyPair } from '../src/didcomm/keys.ts';
import { ownerCommand } from '../src/owner-command.ts';

const root = mkdtempSync(join(tmpdir(), 'flexid-owner-'));
after(() => rmSync(root, { recursive: true, force: true }));

function called(...argv: string[]): { code: number; said: string; complained: string } {
  const [said, complained]: [string[], string[]] = [[], []];
  const code = ownerCommand(
    argv,
    (text) => void said.push(text),
    (text) => void complained.push(text),
  );
  return { code, said: said.join(''), complained: complained.join('') };
}

test('[S2-21] the owner that is written imports one crypto library, and has no file but its own', () => {
  const folder = join(root, 'shop');
  const { code, said } = called('new', folder);
  assert.equal(code, 0);
  assert.deepEqual(readdirSync(folder).sort(), ['owner.py', 'owner.toml']);
  assert.equal(statSync(join(folder, 'owner.toml')).mode & 0o777, 0o600);
  const imports = [...readFileSync(join(folder, 'owner.py'), 'utf8').matchAll(/^(?:from|import) (\w+)/gm)].map(([, name]) => name!);
  const library = execFileSync('python3', ['-c', 'import sys; print(" ".join(sys.stdlib_module_names))'], { encoding: 'utf8' });
  const standard = new Set(library.trim().split(' '));
  assert.deepEqual([...new Set(imports.filter((name) => !standard.has(name)))], ['nacl']);
  // one secret of its own; what it will know of the agent is public
  const settings = readFileSync(join(folder, 'owner.toml'), 'utf8');
  assert.deepEqual(
    [...settings.matchAll(/^(\w+) = /gm)].map(([, name]) => name),
    ['seed', 'agent_verkey', 'agent_endpoint'],
  );
  const [, seed] = /^seed = "([0-9a-f]{64})"$/m.exec(settings)!;
  const [, verkey] = /^The key of this owner is (\S+)\. /.exec(said)!;
  assert.equal(newKeyPair(Buffer.from(seed!, 'hex')).verkey, verkey);
  assert.ok(!said.includes(seed!), 'the secret is printed');
  // a second one would take the place of a secret
  const again = called('new', folder);
  assert.equal(again.code, 2);
  assert.match(again.complained, /owner\.toml is there already/);
});

test('./flexid owner says what it takes', () => {
  assert.equal(called('--help').code, 0);
  assert.match(called('--help').said, /owner new DIR/);
  for (const argv of [[], ['new'], ['old', 'x'], ['new', '--force'], ['new', 'a', 'b']])
    assert.equal(called(...argv).code, 2, argv.join(' '));
});
