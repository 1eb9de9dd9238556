import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const documents = (): string[] =>
  globSync('**/*.md', { cwd: ROOT, exclude: (name) => name === 'node_modules' || name === '.flexid' || name === '.git' }).sort();
/** The nth fenced block after a heading. */
const block = (file: string, heading: string): string => {
  const text = read(file);
  const at = text.indexOf(`\n${heading}\n`);
  assert.ok(at >= 0, `${file} has no heading ${heading}`);
  return /^```\n(.*?)^```/ms.exec(text.slice(at))?.[1] ?? '';
};
/** The anchor that a heading gets: lower case, no punctuation, hyphens for spaces. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

test('every relative link of the documents leads somewhere', () => {
  const files = documents();
  for (const needed of ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'docs/operations.md', 'docs/deviations.md'])
    assert.ok(files.includes(needed), `${needed} is missing`);
  const wrong: string[] = [];
  let links = 0;
  for (const file of files) {
    const prose = read(file).replace(/^```.*?^```/gms, '');
    for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z][a-z0-9+.-]*:/i.test(target!)) continue;
      links++;
      const [path, fragment] = target!.split('#') as [string, string | undefined];
      const to = path === '' ? file : normalize(join(dirname(file), path));
      if (to.startsWith('..') || !existsSync(join(ROOT, to))) wrong.push(`${file} -> ${target}`);
      else if (fragment !== undefined) {
        const headings = [...read(to).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchor(heading!));
        if (!headings.includes(fragment)) wrong.push(`${file} -> ${target}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(links > 15, `only ${links} links were found`);
});

test('docs/architecture.md shows the tree of src as it is', () => {
  const shown: string[] = [];
  const parents: string[] = [];
  for (const line of block('docs/architecture.md', '## The tree').split('\n')) {
    const [, indent, name] = /^( +)(\S+)/.exec(line) ?? [];
    if (name === undefined) continue;
    const depth = indent!.length / 2;
    parents[depth] = name.replace(/\/$/, '');
    shown.push(parents.slice(1, depth + 1).join('/') + (name.endsWith('/') ? '/' : ''));
  }
  const there = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const path = join(entry.parentPath, entry.name).slice(join(ROOT, 'src').length + 1);
    if (entry.isDirectory()) return [`${path}/`];
    return path.includes('/') || path.includes('.test.') ? [] : [path];
  });
  assert.deepEqual(shown.sort(), there.sort());
});

test('docs/architecture.md has the import rules of test/architecture.test.ts', () => {
  const literal = /const MAY[^=]*= (\{.*?^\});/ms.exec(read('test/architecture.test.ts'))?.[1];
  assert.ok(literal, 'the rules were not found in test/architecture.test.ts');
  const may = new Function(`return ${literal}`)() as Record<string, string[]>;
  const rules = block('docs/architecture.md', '### Who may import whom')
    .trim()
    .split('\n')
    .map((line) => line.split(' -> ') as [string, string]);
  const shown = Object.fromEntries(rules.map(([from, to]) => [from, to === 'nothing' ? [] : to.split(', ')]));
  assert.deepEqual(shown, may);
});

test('files that docs/architecture.md names exist', () => {
  const text = read('docs/architecture.md');
  const named = [...text.matchAll(/`((?:[a-z-]+\/)*[a-z0-9-]+(?:\.[a-z]+)*\.ts)`/g)].map(([, name]) => name!);
  const files = globSync('{src,test,devnet}/**/*.ts', { cwd: ROOT });
  assert.ok(named.length > 30, `only ${named.length} names were found`);
  assert.deepEqual(
    named.filter((name) => !name.startsWith('name.') && !files.some((file) => file === name || file.endsWith(`/${name}`))),
    [],
  );
});

test('files that any page names by their whole path exist', () => {
  const wrong: string[] = [];
  for (const file of globSync('{*.md,{docs,contracts,devnet,examples,deploy,interop}/**/*.md}', {
    cwd: ROOT,
    exclude: (name) => name === 'node_modules',
  })) {
    for (const [, named] of read(file).matchAll(
      /`((?:src|test|harness|bench|devnet|contracts|examples|interop)\/[\w./-]+\.(?:ts|py|sh|json))`/g,
    ))
      if (!existsSync(join(ROOT, named!))) wrong.push(`${file} -> ${named}`);
  }
  assert.deepEqual(wrong, []);
});

test('docs/dependencies.md has a line with a licence for every dependency', () => {
  const rows = read('docs/dependencies.md')
    .split('\n')
    .map((line) => /^\| `([^`]+)` \| ([^|]+) \|/.exec(line))
    .filter((row) => row !== null)
    .map(([, name, licence]) => [name!, licence!.trim()] as const);
  const named = ['package.json', 'contracts/package.json'].flatMap((file) => {
    const { dependencies, devDependencies } = JSON.parse(read(file)) as Record<string, Record<string, string> | undefined>;
    return Object.keys({ ...dependencies, ...devDependencies });
  });
  const { dependencies: ofCredo } = JSON.parse(read('interop/credo-did-algo/package.json')) as { dependencies: object };
  const [, ofAcapy] = /^dependencies = \[(.*)\]$/m.exec(read('interop/acapy-did-algo/pyproject.toml'))!;
  named.push(...Object.keys(ofCredo), ...[...ofAcapy!.matchAll(/"([A-Za-z0-9_-]+)/g)].map(([, name]) => name!));
  assert.deepEqual(rows.map(([name]) => name).sort(), named.sort());
  for (const [name, licence] of rows) {
    const manifest = join(ROOT, 'node_modules', name, 'package.json');
    if (!existsSync(manifest)) continue;
    const { license } = JSON.parse(readFileSync(manifest, 'utf8')) as { license: string };
    const plain = (text: string): string => text.replace(/[()]/g, '').replace(/ (or|and) /, (word) => word.toUpperCase());
    assert.equal(plain(licence), plain(license), `licence of ${name}`);
  }
  const runtime = read('docs/dependencies.md');
  const { optionalDependencies } = JSON.parse(read('runtime/package.json')) as { optionalDependencies: Record<string, string> };
  for (const [name, version] of Object.entries(optionalDependencies))
    assert.ok(runtime.includes(`\`${name}\``) && runtime.includes(`| ${version} |`), `${name} ${version}`);
  const wheel = /^anoncreds==(\S+)/m.exec(read('runtime/requirements.txt'))![1]!;
  assert.ok(runtime.includes(`| AnonCreds library | ${wheel} |`), `the AnonCreds library ${wheel}`);
});

test('docs/operations.md names every flag of a group that it lists, and no other', () => {
  const config = read('src/config/settings.ts');
  const flags = new Set([...config.matchAll(/'--([a-z-]+)'|flag\(\s*'([a-z-]+)'/g)].map(([, a, b]) => `--${a ?? b}`));
  const named = new Set([...read('docs/operations.md').matchAll(/`(--[a-z-]+)/g)].map(([, name]) => name!));
  named.delete('--auto-');
  assert.deepEqual(
    [...named].filter((name) => !flags.has(name)),
    [],
  );
  const missing = [...flags].filter((name) => !named.has(name) && !/^--auto-(accept|respond|store|verify)/.test(name));
  assert.deepEqual(missing, []);
});

test('docs/AgentProtocol2018.md has every reason that its protocols refuse for, every attribute that they read, every route and every type', () => {
  const text = read('docs/AgentProtocol2018.md');
  const named = new Set([...text.matchAll(/`([^`\n]+)`/g)].map(([, name]) => name!));
  const code = globSync('src/agent-2018/{connection*,key-trust,credential,proof,format}.ts', { cwd: ROOT }).map(read).join('\n');
  const reasons = [...code.matchAll(/(?:refuse\(|reason: |'bad-request', |code: )'([a-z]+(?:-[a-z]+)*)'/g)].map(([, reason]) => reason!);
  const keys = [...code.matchAll(/`\$\{what\}(-key-[a-z]+)`/g)].flatMap(([, end]) => [`endpoint${end}`, `requester${end}`]);
  assert.ok(reasons.length > 15 && keys.length >= 4, 'the reasons were not found in the code');
  const schemas = [...code.matchAll(/^export const (?:Offer|Request|Response) = Type\.Object\(\{\n(.*?)^\}\);/gms)].map(
    ([, members]) => members!,
  );
  const attributes = schemas.flatMap((members) => [...members.matchAll(/^ {2}(\w+):/gm)].map(([, name]) => name!));
  assert.ok(attributes.length > 15, 'the attributes were not found in the code');
  const types = /NAMES = \[(.*?)\]/s.exec(read('src/didcomm/agent-2018-types.ts'))![1]!.match(/\w+/g)!;
  const routes = [...(code + read('src/admin/routes/legacy.ts')).matchAll(/route: '([A-Z]+ \/legacy[^']*)'/g)].map(([, route]) => route!);
  assert.ok(routes.length >= 8, 'the routes were not found in the code');
  const missing = [...reasons, ...keys, ...attributes, ...types, ...routes].filter((name) => !named.has(name));
  assert.deepEqual([...new Set(missing)], []);
});

test('README.md names the uses that the agent is not for, and the package has no build for them', () => {
  assert.match(read('README.md'), /not for mobile devices/);
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  assert.deepEqual(
    Object.keys(dependencies).filter((name) => /^(react-native|expo|@capacitor|cordova|nativescript)/.test(name)),
    [],
  );
});
