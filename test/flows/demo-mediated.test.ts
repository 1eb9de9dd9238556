import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Body, createWorld } from '../support/agents.ts';
import { TEST_MS } from '../support/waiting.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const world = createWorld();
after(() => world.close());

/** The ports that a process listens on, as the kernel knows them. */
function listening(pid: number): number[] {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        // it was closed meanwhile
        return [];
      }
    }),
  );
  return ['tcp', 'tcp6'].flatMap((kind) => {
    const path = `/proc/${pid}/net/${kind}`;
    if (!existsSync(path)) return [];
    return readFileSync(path, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === '0A' && sockets.has(inode!))
      .map(([, local]) => Number.parseInt(local!.split(':')[1]!, 16));
  });
}

/** What follows a flag in a process's arguments. */
function given(pid: number, flag: string, count: number): string[] {
  const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  return args.slice(args.indexOf(flag) + 1, args.indexOf(flag) + 1 + count);
}

test('[S1-26] ./flexid demo --mediated runs the main job with a holder that nobody can reach, and a mediator that is killed', {
  timeout: TEST_MS,
}, async () => {
  const kept = join(world.folder, 'kept');
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ACAPY|FLEXID|NODE_TEST)_/.test(name)));
  const demo = spawn(process.execPath, [MAIN, 'demo', '--mediated', '--rows', '2', '--keep', kept], { cwd: world.folder, env });
  world.defer(() => void demo.kill('SIGTERM'));
  let output = '';
  let ports: { readonly listens: number[]; readonly admin: number } | undefined;
  for (const stream of [demo.stdout, demo.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
      const pid = Number(/^.*start holder +pid (\d+)$/m.exec(output)?.[1]);
      // only now does it talk with the others
      if (!ports && pid && output.includes('connect holder and verifier') && existsSync(`/proc/${pid}/cmdline`))
        ports = { listens: listening(pid), admin: Number(given(pid, '--admin', 2)[1]) };
    });
  const code = await new Promise<number | null>((resolve, reject) => demo.once('error', reject).once('close', resolve));
  assert.equal(code, 0, output);
  assert.equal(output.trimEnd().split('\n').at(-1), 'verified: true', output);
  assert.match(output, /presentations verified +2$/m);

  if (existsSync('/proc/self/cmdline')) assert.deepEqual(ports?.listens, [ports?.admin], 'the admin port alone');
  const [, first, second] = /mediator killed +pid (\d+), started again as pid (\d+)$/m.exec(output) ?? [];
  assert.ok(first && second && first !== second, output);
  // it died without a goodbye, and came back
  const log = readFileSync(join(kept, 'mediator.log'), 'utf8');
  assert.equal(log.match(/"msg":"stopping"/g)?.length, 1, 'only its second run was told to stop');

  // what it left says how the peers were told to write to it
  const issuer = await world.start('issuer', { store: join(kept, 'issuer.db') });
  const { results } = await issuer.get('/connections');
  const notified = await Promise.all(results.map((one: Body) => issuer.get(`/connections/${one.connection_id}/endpoints`)));
  const { endpoint } = (await (
    await world.start('holder', { store: join(kept, 'holder.db'), noInbound: true, flags: ['--mediator-pickup', 'off'] })
  ).get('/mediation/default-mediator')) as Body;
  assert.deepEqual(
    notified.map((one: Body) => one.their_endpoint),
    [endpoint],
  );
});

test('./flexid demo refuses flags that do not go with --mediated', async () => {
  for (const more of [
    ['--protocol', '2018'],
    ['--replicas', '2'],
  ]) {
    const demo = spawn(process.execPath, [MAIN, 'demo', '--mediated', ...more], { cwd: world.folder });
    let notified = '';
    demo.stderr.on('data', (chunk: Buffer) => {
      notified += chunk.toString('utf8');
    });
    const code = await new Promise<number | null>((resolve, reject) => demo.once('error', reject).once('close', resolve));
    assert.equal(code, 2);
    assert.match(notified, /--mediated/);
  }
});
