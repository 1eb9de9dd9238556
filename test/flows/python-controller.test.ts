import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startNetwork } from '../../harness/network.ts';
import { freePort } from '../../harness/processes.ts';
import { openStores } from '../../harness/stores.ts';
import { TEST_MS } from '../support/waiting.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

async function python(args: readonly string[], env: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const child = spawn('python3', [join(ROOT, 'examples/python/controller.py'), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TEST_MS,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  return { code, output };
}

test('the controller in Python connects, issues and verifies on agents of its own', { timeout: TEST_MS * 2 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-python-'));
  const listen = `127.0.0.1:${await freePort()}`;
  const stores = await openStores('sqlite', folder);
  const network = await startNetwork(folder, stores.of, undefined, { url: `http://${listen}`, key: 'key-of-the-webhooks' });
  try {
    const { issuer, holder, verifier } = network.admin;
    const args = ['--issuer', issuer.url, '--holder', holder.url, '--verifier', verifier.url, '--listen', listen];
    const keys = { ISSUER_KEY: issuer.key, HOLDER_KEY: holder.key, VERIFIER_KEY: verifier.key };
    const refused = await python(args, { ...keys, ISSUER_KEY: 'wrong' });
    assert.equal(refused.code, 1, refused.output);
    assert.match(refused.output, /answered 401/);
    const { code, output } = await python(args, keys);
    assert.equal(code, 0, output);
    assert.equal(output.trimEnd().split('\n').at(-1), 'verified: true', output);
  } finally {
    await network.stop();
    await stores.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

/** What a plug-in in this repository may import: docs/Plugins.md. */
const PLUGIN_MAY = /^from '\.\.\/\.\.\/src\/(?:kernel\/plugin|dids\/[a-z-]+|didcomm\/[a-z0-9-]+|formats\/sd-jwt)\.ts'$/;

test('the controllers use HTTP and nothing else of an agent, and a plug-in its public types and pure libraries', () => {
  const files = globSync('examples/**/*.{ts,py}', { cwd: ROOT });
  assert.ok(files.length >= 6, files.join(', '));
  for (const file of files) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    assert.doesNotMatch(text, /^\s*(import|from)\b.*(agent-sdk|credo|aries|acapy|askar)/im, file);
    // the demo's stores start a database server; that is no controller's business
    // and a plug-in is none: of the agent it knows what plug-ins are given
    if (file.startsWith('examples/plugin/')) {
      const own: readonly string[] = text.match(/from '[^']*\/src\/[^']*'/g) ?? [];
      // what starts and checks it is a controller, and imports nothing of the agent
      assert.ok(own.length === 0 || own.includes("from '../../src/kernel/plugin.ts'"), file);
      assert.deepEqual(
        own.filter((one) => !PLUGIN_MAY.test(one)),
        [],
        file,
      );
    } else if (!file.endsWith('stores.ts')) assert.doesNotMatch(text, /from '[^']*\/src\//, file);
  }
  const imported = [...readFileSync(join(ROOT, 'examples/python/controller.py'), 'utf8').matchAll(/^import (\S+)/gm)].map(
    ([, name]) => name!,
  );
  const standard = ['argparse', 'hashlib', 'hmac', 'http.server', 'json', 'os', 'sys', 'threading', 'time', 'uuid'];
  assert.deepEqual(imported, [...standard.slice(0, -1), 'urllib.error', 'urllib.parse', 'urllib.request', 'uuid']);
});
