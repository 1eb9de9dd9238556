import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

for (const [name, script, args] of [
  ['the types hold', 'node_modules/typescript/bin/tsc', ['--noEmit']],
  ['the types of the pages hold', 'node_modules/typescript/bin/tsc', ['--noEmit', '-p', 'web']],
  ['the formatter and linter have nothing to say', 'node_modules/@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '.']],
] as const) {
  test(name, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, script), ...args], { cwd: ROOT, encoding: 'utf8' });
    assert.equal(status, 0, `${stdout}\n${stderr}`);
  });
}
