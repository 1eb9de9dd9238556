import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Kit } from '../lib/kit.ts';
import { type Plan, README, sense, verified } from './run.ts';

const SMALL: Plan = { readings: 12, everyMs: 0, cutAt: 4, mendAt: 10, killAt: 7 };
const LIMIT_MIB = 256;

export async function check(kit: Kit): Promise<void> {
  const plan = kit.full ? README : SMALL;
  const { sensor, collector, did, received, before } = await sense(kit, plan);
  const { step } = kit;
  await step('each reading came once, in order', async () => {
    const taken = Array.from({ length: plan.readings }, (_none, index) => index + 1);
    assert.deepEqual(
      received.map(({ n }) => n),
      taken,
    );
    assert.ok(before < plan.cutAt, `${before} readings came through a cable that was cut`);
    return [undefined, `${plan.readings}, of which ${plan.readings - before} waited in the sensor`];
  });
  await step('a changed reading is refused', async () => {
    const [head, claims, signature] = received[0]!.jwt.split('.') as [string, string, string];
    const changed = { ...JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')), celsius: 99 };
    const jwt = [head, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.');
    await assert.rejects(verified(collector.controller, jwt, did), /not signed by the sensor/);
    return [undefined, '99 °C is not what the sensor signed'];
  });
  if (process.platform !== 'linux') return;
  await step(`the sensor's agent needs less than ${LIMIT_MIB} MiB`, async () => {
    const mib = peakOf(sensor.program.pid!);
    assert.ok(mib < LIMIT_MIB, `it had ${mib} MiB`);
    return [undefined, `${mib} MiB at most`];
  });
  await step('nobody can reach it', async () => {
    const admin = Number(new URL(sensor.url).port);
    assert.deepEqual(listening(sensor.program.pid!), [admin]);
    return [undefined, `its one port is that of its own program, ${admin} on loopback`];
  });
}

/** The most memory that a process had at once, in MiB: proc_pid_status(5). */
const peakOf = (pid: number): number =>
  Math.round(Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024);

/** The TCP ports that a process listens on: its sockets by inode, and state 0A of proc_pid_net_tcp(5). */
function listening(pid: number): number[] {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1] ?? []),
  );
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === '0A' && sockets.has(inode ?? ''))
      .map(([, local]) => Number.parseInt(local!.split(':')[1]!, 16)),
  );
}

/** A descriptor may be closed by the time that it is looked at. */
const linkOf = (path: string): string => {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
};
