import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { anchor, type Body, createWorld, type TestAgent } from '../support/agents.ts';
import { acapyPython, acapyVersions, bringAcapy, bringAcapyPlugin } from './acapy.ts';
import { bringCredo, bringCredoPlugin, credoVersion } from './credo.ts';
import { ROOT, run } from './processes.ts';
import { connectWallets, controlled, ISSUING, issueTo, startAcapyWallet, startCredoWallet, type Wallet } from './wallets.ts';

/** The packages of `interop/`: their own tests, and credentials that ACA-Py and Credo hold, present and verify by them. */

const reason = await bringAcapy();
if (reason) process.stdout.write(`ACA-Py is skipped: ${reason}\n`);

const passes = async (program: string, args: readonly string[], folder: string): Promise<void> => {
  const { code, text } = await run(program, args, { cwd: join(ROOT, folder) });
  assert.equal(code, 0, text);
};

test('the plug-in for ACA-Py passes its own tests, and they read the vectors', { skip: reason }, async () => {
  await bringAcapyPlugin();
  await passes(acapyPython(), ['-m', 'unittest', 'discover', '-t', '.', '-s', 'tests'], 'interop/acapy-did-algo');
});

test('the registry for Credo passes its own tests, and they read the vectors', async () => {
  await bringCredoPlugin();
  await passes('npm', ['run', 'check'], 'interop/credo-did-algo');
  await passes(process.execPath, ['--test', 'test/*.test.ts'], 'interop/credo-did-algo');
});

test('the package for Credo has what it exports, its licence and nothing of its tests', async () => {
  await bringCredoPlugin();
  const { code, text } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: join(ROOT, 'interop/credo-did-algo'),
  });
  assert.equal(code, 0, text);
  const files: string[] = JSON.parse(text)[0].files.map(({ path }: { path: string }) => path);
  for (const file of ['build/index.js', 'build/index.d.ts', 'LICENSE', 'README.md', 'package.json']) assert.ok(files.includes(file), file);
  assert.deepEqual(
    files.filter((file) => !/^(build\/[a-z-]+(\.d)?\.[jt]s|LICENSE|README\.md|package\.json)$/.test(file)),
    [],
  );
  assert.ok(existsSync(join(ROOT, 'interop/acapy-did-algo/LICENSE')));
});

describe('a credential of ours that cannot be revoked', { skip: reason }, () => {
  const world = createWorld();
  let issuer: TestAgent;
  let ours: Wallet;
  const others: Record<string, Wallet> = {};
  let credDefId: string;

  before(async () => {
    const [versions, plugin] = await Promise.all([acapyVersions(), bringCredoPlugin(), bringCredo(), bringAcapyPlugin()]);
    process.stdout.write(`peers: ${Object.entries(versions).flat().join(' ')} @credo-ts/didcomm ${credoVersion()}\n`);
    const devnet = await world.devnet();
    issuer = await world.start('issuer', { devnet, sponsor: true, flags: ISSUING });
    ours = controlled('ours', issuer);
    const [anchored, acapy, credo] = await Promise.all([
      anchor(issuer, ['name', 'age']),
      startAcapyWallet(world, 'acapy', devnet),
      startCredoWallet(world, 'credo', devnet, plugin),
    ]);
    credDefId = anchored.credDefId;
    Object.assign(others, { acapy, credo });
  });
  after(() => world.close());

  const request = (adult: number): Body => ({
    name: 'proof',
    version: '1.0',
    requested_attributes: { name: { name: 'name', restrictions: [{ cred_def_id: credDefId }] } },
    requested_predicates: { age: { name: 'age', p_type: '>=', p_value: adult, restrictions: [{ cred_def_id: credDefId }] } },
  });

  /** Asks over a connection, and shows. */
  const prove = async (verifier: Wallet, holder: Wallet, connection: string): Promise<string> => {
    const { thread, verdict } = await verifier.ask(connection, request(18));
    await holder.present(thread, { name: holder.name, age: '42' });
    return await verdict();
  };

  for (const name of ['acapy', 'credo']) {
    test(`${name} holds it, and shows it to us and to the other`, async () => {
      const holder = others[name]!;
      const verifier = others[name === 'acapy' ? 'credo' : 'acapy']!;
      const withUs = await connectWallets(ours, holder);
      await issueTo(issuer, withUs, credDefId, { name, age: '42' });
      assert.equal(await prove(ours, holder, withUs), 'true');
      const withOther = await connectWallets(verifier, holder);
      assert.equal(await prove(verifier, holder, withOther), 'true');
    });
  }
});
