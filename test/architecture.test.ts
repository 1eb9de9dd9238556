import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PROTOCOLS, UNBOUND_RECORDS } from '../src/builtin-protocols.ts';
import { filesOf } from './run.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** What each folder of `src` may import of ours, itself aside: docs/architecture.md says why. */
const MAY: Record<string, readonly string[]> = {
  'main.ts': [
    'app.ts',
    'config',
    'database.ts',
    'agent-2018',
    'ledger-command.ts',
    'owner-command.ts',
    'backup-command.ts',
    'own-modules.ts',
    'idle-memory.ts',
    'errors.ts',
    'adapters',
    'version.ts',
  ],
  'database.ts': ['adapters', 'ports', 'config'],
  'ledger.ts': ['adapters', 'ports', 'config'],
  'listeners.ts': ['ports', 'config'],
  'network.ts': ['adapters', 'ports', 'didcomm', 'config', 'listeners.ts'],
  'tails.ts': ['adapters', 'kernel', 'ports', 'config', 'database.ts'],
  'registration.ts': ['admin', 'agent-2018', 'protocols', 'formats', 'kernel', 'config', 'builtin-protocols.ts', 'plugins.ts'],
  'hub.ts': ['adapters', 'resources', 'records', 'kernel', 'config', 'errors.ts'],
  'tracing.ts': ['adapters', 'ports', 'config', 'version.ts'],
  'app.ts': [
    'admin',
    'web',
    'workers',
    'adapters',
    'agent-2018',
    'resources',
    'protocols',
    'formats',
    'kernel',
    'mediation',
    'ports',
    'dids',
    'didcomm',
    'config',
    'database.ts',
    'hub.ts',
    'ledger.ts',
    'listeners.ts',
    'network.ts',
    'registration.ts',
    'tails.ts',
    'tracing.ts',
    'startup.ts',
    'endorser.ts',
    'builtin-protocols.ts',
    'owners.ts',
    'profiles.ts',
    'errors.ts',
    'version.ts',
  ],
  config: ['kernel', 'ports', 'errors.ts'],
  'ledger-command.ts': ['adapters', 'config'],
  'owner-command.ts': ['didcomm', 'registration.ts'],
  'owners.ts': ['resources', 'records', 'kernel', 'ports', 'didcomm', 'config'],
  'startup.ts': ['protocols', 'resources', 'records', 'mediation', 'kernel', 'ports', 'dids', 'didcomm', 'config', 'errors.ts'],
  'endorser.ts': ['startup.ts', 'protocols', 'kernel', 'ports', 'config', 'errors.ts'],
  'builtin-protocols.ts': ['message-formats', 'agent-2018', 'protocols', 'resources', 'records', 'formats', 'kernel'],
  'backup-command.ts': ['adapters', 'backup', 'records', 'ports', 'config', 'database.ts'],
  'plugins.ts': ['kernel', 'config'],
  'profiles.ts': ['kernel', 'records', 'ports', 'config', 'errors.ts'],
  'bounded-map.ts': [],
  'background.ts': [],
  'errors.ts': [],
  'version.ts': [],
  'own-modules.ts': [],
  'idle-memory.ts': [],
  backup: ['formats', 'records', 'ports', 'didcomm', 'errors.ts', 'version.ts'],
  kernel: ['ports', 'didcomm', 'errors.ts', 'bounded-map.ts'],
  'message-formats': ['kernel', 'ports', 'didcomm', 'errors.ts'],
  'agent-2018': ['kernel', 'records', 'formats', 'dids', 'ports', 'didcomm', 'errors.ts', 'bounded-map.ts'],
  ports: [],
  vault: ['background.ts'],
  didcomm: ['bounded-map.ts'],
  dids: ['ports', 'didcomm', 'errors.ts', 'bounded-map.ts'],
  formats: ['kernel', 'dids', 'didcomm', 'ports', 'errors.ts', 'bounded-map.ts'],
  mediation: ['kernel', 'didcomm', 'ports', 'errors.ts', 'bounded-map.ts'],
  records: ['mediation', 'kernel', 'formats', 'ports', 'errors.ts'],
  protocols: ['mediation', 'kernel', 'records', 'formats', 'dids', 'didcomm', 'ports', 'errors.ts'],
  web: ['admin', 'kernel', 'records', 'ports', 'errors.ts', 'bounded-map.ts'],
  resources: ['web', 'kernel', 'records', 'formats', 'dids', 'didcomm', 'ports', 'errors.ts'],
  adapters: ['ports', 'vault', 'didcomm', 'errors.ts', 'bounded-map.ts', 'background.ts'],
  admin: ['backup', 'kernel', 'records', 'formats', 'dids', 'ports', 'didcomm', 'errors.ts', 'version.ts', 'bounded-map.ts'],
  workers: ['mediation', 'kernel', 'ports', 'errors.ts', 'bounded-map.ts'],
};
/** Folders whose files must not import each other: each stands alone behind a port or in the registry. Files of one family, in a folder of their own, may. */
const APART = ['protocols', 'resources', 'records'];
/** Folders that only know the types of another. */
const TYPES_ONLY: Record<string, readonly string[]> = { vault: ['ports'], records: ['didcomm'] };

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function importsOf(file: string, text = readFileSync(join(ROOT, file), 'utf8')): Import[] {
  // the last two: an import for its side effects, and one at run time
  const found = text.matchAll(/^(import|export)( type)?[^'"]*?from\s+'(\.[^']+)'|^import\s+'(\.[^']+)'|import\('(\.[^']+)'\)/gm);
  return [...found].map(([, , typeOnly, path, effects, dynamic]) => ({
    from: file,
    to: relative(ROOT, join(ROOT, dirname(file), (path ?? effects ?? dynamic)!)),
    typeOnly: typeOnly !== undefined,
  }));
}

const isTest = (file: string): boolean => /\.(test|conformance)\.ts$/.test(file);
const area = (file: string): string => file.split('/')[1]!;

test('imports are seen in every form', () => {
  const text = [
    "import { a } from './a.ts';",
    "import type { b } from '../b.ts';",
    "import './c.ts';",
    "export { d } from './d.ts';",
    "await import('./e.ts');",
  ];
  assert.deepEqual(
    importsOf('src/x/y.ts', text.join('\n')).map(({ to, typeOnly }) => [to, typeOnly]),
    [
      ['src/x/a.ts', false],
      ['src/b.ts', true],
      ['src/x/c.ts', false],
      ['src/x/d.ts', false],
      ['src/x/e.ts', false],
    ],
  );
});

test('every folder imports only what its rule allows', () => {
  const wrong: string[] = [];
  for (const file of globSync('src/**/*.ts', { cwd: ROOT })) {
    if (isTest(file)) continue;
    const from = area(file);
    assert.ok(MAY[from], `${file} lies in a folder without a rule`);
    for (const one of importsOf(file)) {
      if (!one.to.startsWith('src/')) {
        if (file !== 'src/main.ts') wrong.push(`${file} -> ${one.to}`);
        continue;
      }
      const to = area(one.to);
      // a folder within is a family that has parts in common
      const family = dirname(file) === dirname(one.to) && dirname(file) !== `src/${from}`;
      const apart = APART.includes(from) && to === from && !family;
      const types = one.typeOnly && TYPES_ONLY[from]?.includes(to);
      if (apart || (to !== from && !MAY[from].includes(to) && !types)) wrong.push(`${file} -> ${one.to}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('the dev ledger and the contracts know nothing of src', () => {
  const wrong = globSync('{devnet,contracts}/**/*.ts', { cwd: ROOT, exclude: (name) => name === 'node_modules' })
    .filter((file) => !isTest(file))
    .flatMap((file) => importsOf(file))
    .filter((one) => one.to.startsWith('src/'));
  assert.deepEqual(wrong, []);
});

/** What the terminal wallet takes of `src`: the agent as a whole, its settings and errors, and backups of a store that is closed. All else goes by the admin API. */
const EDGE_MAY = /^src\/(?:app\.ts|errors\.ts|database\.ts|(?:config|backup)\/[\w-]+\.ts)$/;

test('the terminal wallet drives its agent by the admin API, and knows nothing within it', () => {
  const files = globSync('edge/**/*.ts', { cwd: ROOT }).filter((file) => !isTest(file));
  assert.ok(files.length > 10, `only ${files.length} files were found`);
  const imports = files.flatMap((file) => importsOf(file));
  assert.ok(imports.some(({ to }) => to === 'src/app.ts'));
  const wrong = imports.filter(({ to }) => !to.startsWith('edge/') && !EDGE_MAY.test(to));
  assert.deepEqual(wrong, []);
});

test('nothing lies deeper than two levels below src, and no file is a barrel', () => {
  const files = globSync('src/**/*.ts', { cwd: ROOT });
  assert.deepEqual(
    files.filter((file) => file.split('/').length > 4),
    [],
  );
  assert.deepEqual(
    files.filter((file) => /\/index\.ts$/.test(file)),
    [],
  );
});

test('only main.ts and the composition root read the environment', () => {
  const readers = globSync('src/**/*.ts', { cwd: ROOT }).filter(
    (file) => !isTest(file) && readFileSync(join(ROOT, file), 'utf8').includes('process.env'),
  );
  assert.deepEqual(readers.sort(), ['src/app.ts', 'src/main.ts']);
});

test('unit tests start no process, no database and no agent', () => {
  const starts =
    /from '[^']*(?:node:child_process|\/(?:harness|examples|devnet|adapters)\/|\/app\.ts|support\/(?:agents|flows|ledger|wallet|stranger)\.ts)/;
  const files = filesOf(['unit']);
  assert.ok(files.length > 30, `only ${files.length} files were found`);
  assert.deepEqual(
    files.filter((file) => starts.test(readFileSync(join(ROOT, file), 'utf8'))),
    [],
  );
});

/** Files longer than the bar, which are one literal. Tables of cases (`*.test.ts`, `*.conformance.ts`) may be of any length. */
const LONG: Readonly<Record<string, string>> = {
  'src/config/settings.ts': 'the table of settings',
};
const LINES = 450;

test('no file is longer than 450 lines that is not a literal or a table of cases', () => {
  const files = globSync('{src,edge,harness,devnet,contracts,bench,examples}/**/*.ts', {
    cwd: ROOT,
    exclude: (name) => name === 'node_modules',
  });
  assert.ok(files.length > 300, `only ${files.length} files were found`);
  const long = files.filter((file) => !isTest(file) && readFileSync(join(ROOT, file), 'utf8').split('\n').length > LINES + 1);
  assert.deepEqual(long.sort(), Object.keys(LONG).sort());
});

/** Whether a literal has steps; public routes alone are tested over HTTP. */
const hasSteps = ({ messages, commands = {}, results = {} }: { messages: object; commands?: object; results?: object }): boolean =>
  [messages, commands, results].some((steps) => Object.keys(steps).length > 0);

test('every protocol and resource has a table of its steps, and every record one of its views', () => {
  const texts = filesOf(['unit']).map((file) => [file, readFileSync(join(ROOT, file), 'utf8')] as const);
  const tables = texts.filter(([, text]) => text.includes('support/steps.ts')).map(([, text]) => text);
  assert.deepEqual(
    PROTOCOLS.filter(hasSteps)
      .map(({ name }) => name)
      .filter((name) => !tables.some((text) => text.includes(`'${name}'`))),
    [],
  );
  const views = texts.filter(([file]) => file.startsWith('src/records/')).map(([, text]) => text);
  const records = [...PROTOCOLS.map(({ binds }) => binds.category), ...UNBOUND_RECORDS.map(({ category }) => category)];
  assert.deepEqual(
    [...new Set(records)].filter((category) => !views.some((text) => new RegExp(`\\b${category}\\b`).test(text))),
    [],
  );
});
