import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { POINTS } from '../../src/kernel/decisions.ts';
import { createWorld } from '../support/agents.ts';
import { TEST_MS } from '../support/waiting.ts';

const world = createWorld();
after(() => world.close());

const PAGE = readFileSync(fileURLToPath(new URL('../../docs/Decisions.md', import.meta.url)), 'utf8');

test('the walk of docs/Decisions.md runs as it is written', async () => {
  const [agent, peer] = await Promise.all(['firm', 'peer'].map((name) => world.start(name, { noWebhook: true, insecure: true })));
  const blocks = [...PAGE.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
  assert.equal(blocks.length, 3);
  const env = { ...process.env, AGENT: agent!.admin, PEER: peer!.admin };
  const { stdout } = await promisify(execFile)('bash', ['-c', `set -eo pipefail\n${blocks.join('\n')}`], { env, timeout: TEST_MS });
  assert.match(stdout, /"point": "connection-request"/);
});

test('docs/Decisions.md has each point, its role and its flag', () => {
  const rows = [...PAGE.matchAll(/^\| `([a-z-]+)` \| ([a-z]+) \| `--([a-z-]+)` \|/gm)].map(([, ...row]) => row.join(' '));
  const flags = Object.entries(POINTS).flatMap(([point, traits]) => {
    if (!('setting' in traits)) return [];
    const { role, setting } = traits;
    const flag = setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return [`${point} ${role} ${flag}`];
  });
  assert.deepEqual(rows, flags);
});
