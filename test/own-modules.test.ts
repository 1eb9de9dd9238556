import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

const OWN = new URL('../src/own-modules.ts', import.meta.url).href;

test('modules of the folder are found as without it, a missing one is named, and others go the usual way', () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-own-'));
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const root = pathToFileURL(join(folder, 'own/')).href;
  try {
    mkdirSync(join(folder, 'own/deep'), { recursive: true });
    mkdirSync(join(folder, 'node_modules/other'), { recursive: true });
    write('node_modules/other/package.json', '{"type":"module","exports":"./index.js"}');
    write('node_modules/other/index.js', "export const other = 'a package';");
    write('beside.ts', "export const beside: string = 'beside';");
    write('own/value.ts', 'export const value: { n: number } = { n: 0 };');
    write('own/deep/adds.ts', "import { value } from '../value.ts';\nvalue.n += 1;\nexport const adds = value;");
    write(
      'own/first.ts',
      "import { other } from 'other';\nimport { beside } from '../beside.ts';\nimport { adds } from './deep/adds.ts';\nimport { value } from './value.ts';\nimport type { None } from './none.ts';\nconst missing: string = await import('./missing.ts').catch((error: Error & { code?: None }) => String(error.code));\nconsole.log(JSON.stringify([other, beside, value.n, adds === value, missing]));",
    );
    write('run.mjs', `import { findOwnModules } from '${OWN}';\nfindOwnModules('${root}');\nawait import('${root}first.ts');`);
    const printed = execFileSync(process.execPath, [join(folder, 'run.mjs')], { encoding: 'utf8' });
    const [other, beside, count, same, missing] = JSON.parse(printed);
    assert.deepEqual([other, beside, count, same], ['a package', 'beside', 1, true]);
    assert.match(missing, /ENOENT|ERR_MODULE_NOT_FOUND/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('what files of packages require by relative paths is found as without it', () => {
  // the space is another text in a URL
  const folder = mkdtempSync(join(tmpdir(), 'flexid own-'));
  const root = pathToFileURL(join(folder, 'own/')).href;
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const named = 'module.exports = __filename.slice(__filename.lastIndexOf("parts"));';
  try {
    for (const name of ['own', 'node_modules/parts/lib', 'node_modules/parts/deep', 'node_modules/parts/bare'])
      mkdirSync(join(folder, name), { recursive: true });
    write('node_modules/parts/package.json', '{"main":"./index.js"}');
    for (const file of [
      'lib.js',
      'lib/index.js',
      'lib/inner.js',
      'deep/index.js',
      'exact',
      'exact.js',
      'whole.cjs',
      'a.b.js',
      'bare/index.js',
    ])
      write(`node_modules/parts/${file}`, named);
    write('node_modules/parts/data.json', '"data"');
    write('node_modules/parts/bare/up.js', "module.exports = [require('..') === require('parts'), require('.'), require('../lib/inner')];");
    const asked = [
      './lib',
      './lib/',
      './lib/inner',
      './deep',
      './exact',
      './exact.js',
      './whole.cjs',
      './a.b',
      './data',
      './data.json',
      './bare/up',
    ];
    write(
      'node_modules/parts/index.js',
      `exports.all = ${JSON.stringify(asked)}.map((path) => require(path)); try { require('./none'); } catch (error) { exports.missing = error.code; }`,
    );
    write('own/first.ts', "import parts from 'parts';\nconsole.log(JSON.stringify(parts));");
    write(
      'run.mjs',
      `const found = process.argv[2] && (await import('${OWN}')).findOwnModules('${root}');\nawait import('${root}first.ts');`,
    );
    const [plain, found] = [[], ['found']].map((args) =>
      execFileSync(process.execPath, [join(folder, 'run.mjs'), ...args], { encoding: 'utf8' }),
    );
    assert.match(plain!, /MODULE_NOT_FOUND/);
    assert.equal(found, plain);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
