import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../src/tails.ts';

test('a temporary folder of tails replaces those of processes that were killed, and leaves those of others', () => {
  const { TMPDIR } = process.env;
  const folder = mkdtempSync(join(tmpdir(), 'flexid-sweep-'));
  process.env.TMPDIR = folder;
  try {
    const { pid: ended } = spawnSync(process.execPath, ['--version']);
    const [dead, former] = [`flexid-tails-${ended}-a`, `flexid-tails-${process.pid}-b`];
    const kept = [`flexid-tails-${process.ppid}-c`, 'flexid-tails-x', 'other'];
    for (const name of [dead, former, ...kept]) mkdirSync(join(folder, name, 'inside'), { recursive: true });
    const made = basename(temporaryFolder());
    assert.match(made, new RegExp(`^flexid-tails-${process.pid}-`));
    assert.deepEqual(readdirSync(folder).sort(), [...kept, made].sort());
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    rmSync(folder, { recursive: true, force: true });
  }
});
