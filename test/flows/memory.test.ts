import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { anchor, type Body, createWorld, freePort, HANDSHAKE, type TestAgent, until } from '../support/agents.ts';
import { TEST_MS } from '../support/waiting.ts';

/**
 * One agent with the profile for small machines issues credentials within 256 MiB of resident memory; where a control group can be made, within one of that size
 * and a quarter of a core.
 */

const LIMIT_MIB = 256;
const CREDENTIALS = 60;
const ATTRIBUTES = ['name', 'degree', 'year'];
const world = createWorld();
after(() => world.close());

const MIB = 1024;
/** As the kernel counts it, with the library's memory outside the heap. */
const resident = (pid: number): number => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / MIB;

const write = (folder: string, values: Readonly<Record<string, string | number>>): void => {
  for (const [name, value] of Object.entries(values)) writeFileSync(`${folder}/${name}`, String(value));
};

/**
 * Puts a process into control groups of its own below those of this one: 256 MiB without swap, a quarter of a core.
 * @returns their folders; none where this machine lets nobody make one
 */
function bounded(pid: number): string[] {
  const mine = readFileSync('/proc/self/cgroup', 'utf8');
  const name = `flexid-test-${pid}`;
  const unified = `/sys/fs/cgroup${/^0::(.*)$/m.exec(mine)?.[1]}`;
  const ofVersion1 = (controller: string): string =>
    `/sys/fs/cgroup/${controller}${new RegExp(`^\\d+:(?:\\S*,)?${controller}(?:,\\S*)?:(.*)$`, 'm').exec(mine)?.[1]}`;
  const groups: [folder: string, bounds: Record<string, string | number>][] = existsSync(`${unified}/cgroup.subtree_control`)
    ? [[unified, { 'memory.max': LIMIT_MIB << 20, 'cpu.max': '25000 100000' }]]
    : [
        [ofVersion1('memory'), { 'memory.limit_in_bytes': LIMIT_MIB << 20 }],
        [ofVersion1('cpu'), { 'cpu.cfs_period_us': 100_000, 'cpu.cfs_quota_us': 25_000 }],
      ];
  const made: string[] = [];
  try {
    for (const [parent, bounds] of groups) {
      const folder = join(parent, name);
      mkdirSync(folder);
      made.push(folder);
      write(folder, { ...bounds, 'cgroup.procs': pid });
    }
    return made;
  } catch {
    // a group that has a process cannot go
    for (const folder of made) {
      write(join(folder, '..'), { 'cgroup.procs': pid });
      rmdirSync(folder);
    }
    return [];
  }
}

test(`an issuer of ${CREDENTIALS} credentials stays below ${LIMIT_MIB} MiB`, { skip: process.platform !== 'linux' }, async (t) => {
  const devnet = await world.devnet();
  const holder = await world.start('holder', { devnet, flags: ['--auto-respond-credential-offer', '--auto-store-credential'] });
  const [adminPort, port] = [await freePort(), await freePort()];
  const child = spawn(
    process.execPath,
    [
      ...['--max-semi-space-size=1', '--max-old-space-size=96', fileURLToPath(new URL('../../src/main.ts', import.meta.url)), 'start'],
      ...['--admin', '127.0.0.1', String(adminPort), '--admin-insecure-mode', '--egress-allow', '127.0.0.0/8', '--profile', 'small'],
      ...['--inbound-transport', 'http', '127.0.0.1', String(port), '--endpoint', `http://127.0.0.1:${port}`],
      ...['--store', `sqlite:${join(world.folder, 'small.db')}`, '--log-level', 'warn', '--auto-accept-requests'],
      ...['--algod-url', devnet.url, '--algod-token', devnet.token, '--algorand-app-id', String(devnet.appId)],
      ...['--algorand-genesis-hash', devnet.genesisHash],
    ],
    { env: { ...process.env, FLEXID_SPONSOR_MNEMONIC: devnet.sponsor.mnemonic }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const groups = bounded(child.pid!);
  if (groups.length === 0) t.diagnostic('no control group: this machine lets nobody make one; resident memory alone is bounded');
  let notified = '';
  child.stderr.on('data', (chunk) => {
    notified += chunk;
  });
  world.defer(async () => {
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    for (const group of groups) rmdirSync(group);
  });
  const call = async (method: string, path: string, body?: unknown): Promise<Body> => {
    const answer = await fetch(`http://127.0.0.1:${adminPort}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${text}`);
    return JSON.parse(text);
  };
  const issuer = {
    get: (path: string) => call('GET', path),
    post: (path: string, body?: unknown) => call('POST', path, body ?? {}),
  } as TestAgent;
  await until(() => issuer.get('/status/ready').catch(() => false), 'the small agent');

  let peak = 0;
  let samples = 0;
  const sampler = setInterval(() => {
    peak = Math.max(peak, resident(child.pid!));
    samples += 1;
  }, 20);
  world.defer(() => clearInterval(sampler));

  const { credDefId } = await anchor(issuer, ATTRIBUTES);
  const made = await issuer.post('/out-of-band/create-invitation?auto_accept=true', HANDSHAKE);
  const { connection_id } = await holder.post('/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  await holder.event('connections', (one) => one.connection_id === connection_id && one.state === 'active', 'the connection');
  const [mine] = (await issuer.get(`/connections?invitation_msg_id=${made.invi_msg_id}`)).results;
  const started = Date.now();
  for (let i = 0; i < CREDENTIALS; i += 10) {
    const offers = Array.from({ length: 10 }, (_, k) =>
      issuer.post('/issue-credential-2.0/send', {
        connection_id: mine.connection_id,
        credential_preview: { attributes: ATTRIBUTES.map((name) => ({ name, value: `${name} ${i + k}` })) },
        filter: { anoncreds: { cred_def_id: credDefId } },
      }),
    );
    await Promise.all(offers);
  }
  await until(async () => (await holder.get('/credentials?limit=1')).total === CREDENTIALS, 'all credentials', TEST_MS);
  clearInterval(sampler);
  t.diagnostic(
    `${peak.toFixed(0)} MiB at most in ${samples} samples, ${((Date.now() - started) / 1000).toFixed(1)} s for ${CREDENTIALS} credentials`,
  );
  assert.ok(samples > 100, `only ${samples} samples`);
  assert.ok(peak > 40 && peak < LIMIT_MIB, `${peak.toFixed(0)} MiB resident\n${notified.slice(-2000)}`);
});
