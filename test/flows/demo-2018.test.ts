import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Body, createWorld } from '../support/agents.ts';
import { TEST_MS } from '../support/waiting.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const world = createWorld();
after(() => world.close());

test('./flexid demo --protocol 2018 runs the main job over the 2018 Agent Protocol and ends verified', { timeout: TEST_MS }, async () => {
  const kept = join(world.folder, 'kept');
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ACAPY|FLEXID|NODE_TEST)_/.test(name)));
  const demo = spawn(process.execPath, [MAIN, 'demo', '--protocol', '2018', '--rows', '2', '--keep', kept], { cwd: world.folder, env });
  world.defer(() => void demo.kill('SIGTERM'));
  let output = '';
  for (const stream of [demo.stdout, demo.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  const code = await new Promise<number | null>((resolve, reject) => demo.once('error', reject).once('close', resolve));
  assert.equal(code, 0, output);
  assert.equal(output.trimEnd().split('\n').at(-1), 'verified: true', output);
  assert.match(output, /presentations verified +2$/m);

  // the stores show the protocol of each message
  const holder = await world.start('holder', { store: join(kept, 'holder.db') });
  const { results } = await holder.get('/connections');
  assert.deepEqual(
    results.map((one: Body) => [one.state, one.legacy?.profile]),
    [
      ['active', 'spec'],
      ['active', 'spec'],
    ],
  );
  assert.deepEqual((await holder.get('/out-of-band/records')).results, []);
  const { results: credentials } = await holder.get('/credentials');
  assert.equal(credentials.length, 2);
});
