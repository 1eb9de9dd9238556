import { readdirSync, readFileSync } from 'node:fs';
import { sodium } from '../src/didcomm/sodium.ts';

/** CPU seconds that a process has used so far, user and system, by /proc; in ticks of 10 ms, so measure over seconds. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** CPU seconds of a process by the names of its threads, those that live: finer than `cpuSeconds`. */
export function threadSeconds(pid: number): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const name = readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim();
      const nanoseconds = Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
      seconds[name] = (seconds[name] ?? 0) + nanoseconds / 1e9;
    } catch {
      // it has ended since
    }
  }
  return seconds;
}

/** CPU seconds of a PostgreSQL server: its postmaster, the processes that it has now, and those that ended. */
export function serverCpuSeconds(postmaster: number): number {
  let ticks = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    let fields: string[];
    try {
      fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    } catch {
      continue;
    }
    const own = Number(pid) === postmaster;
    if (own || Number(fields[1]) === postmaster) ticks += Number(fields[11]) + Number(fields[12]);
    if (own) ticks += Number(fields[13]) + Number(fields[14]);
  }
  return ticks / 100;
}

/** Resident memory of a process in MiB. */
export function residentMiB(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) / 1024;
}

/** Resident memory of a process in MiB: what it made itself, and what files lend it (programs, libraries). */
export function memoryMiB(pid: number): { readonly all: number; readonly anonymous: number; readonly files: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const of = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024;
  return { all: of('Rss'), anonymous: of('Anonymous'), files: of('Rss') - of('Anonymous') };
}

/** Bytes that a process has had written to disks so far. */
export const writtenBytes = (pid: number): number => Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);

const pair = { pk: new Uint8Array(32), sk: new Uint8Array(32), sealed: new Uint8Array(80), opened: new Uint8Array(32) };
const ed = { pk: new Uint8Array(32), sk: new Uint8Array(64) };
sodium.crypto_sign_keypair(ed.pk, ed.sk);
sodium.crypto_sign_ed25519_pk_to_curve25519(pair.pk, ed.pk);
sodium.crypto_sign_ed25519_sk_to_curve25519(pair.sk, ed.sk);
sodium.crypto_box_seal(pair.sealed, new Uint8Array(32), pair.pk);

/** R, the common reference: CPU microseconds of opening one sealed box of 32 bytes, measured here and now. */
export function sealOpenMicroseconds(calls = 4000): number {
  const start = process.cpuUsage();
  for (let i = 0; i < calls; i++) sodium.crypto_box_seal_open(pair.opened, pair.sealed, pair.pk, pair.sk);
  const used = process.cpuUsage(start);
  return (used.user + used.system) / calls;
}

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** Prints rows under their headings, numbers right-aligned. */
export function printTable(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const cells = [headings, ...rows].map((row) =>
    row.map((cell) => (typeof cell === 'number' ? (Math.abs(cell) >= 100 ? cell.toFixed(0) : cell.toFixed(2)) : cell)),
  );
  const widths = headings.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)));
  for (const row of cells)
    process.stdout.write(`${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')}\n`);
}
