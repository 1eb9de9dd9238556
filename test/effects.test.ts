import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { operationsOf } from '../src/admin/server.ts';
import { FORMATS, PROTOCOLS, UNBOUND_RECORDS } from '../src/builtin-protocols.ts';
import { createRegistry } from '../src/kernel/registry.ts';

/**
 * Every member of a query or a body that is declared is read by what serves it: by the code of the file that declares it, or of one that this imports. What is
 * declared and never read changes nothing, which its caller cannot know.
 */

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Members that are taken and change nothing, as a controller may expect of each. docs/deviations.md tells the same. */
const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  trace: 'decorators of traces, which no message gets: a record shows false',
  order_by: 'it has one value, which says what is done anyway',
  conn_id: 'whom a revocation would ask for an endorsement: the endorser of the role has it, and of a call none',
  options: 'what a registry of another kind would want',
  alias: 'what a ledger would call a DID: this one keeps no names, and writes nothing for others',
  features: 'what else a did:indy should have: the DID that is made in its place has none',
  mechanism: 'how an agreement is accepted that there is none of',
  version: 'the same',
  text: 'the same',
  holder_did: 'whom ld_proof credentials are about: the formats that are issued bind to the link secret',
};

const namesIn = (schema: object | undefined): string[] => Object.keys((schema as { properties?: object } | undefined)?.properties ?? {});

const sources = new Map(
  globSync('src/**/*.ts', { cwd: ROOT })
    .filter((file) => !file.endsWith('.test.ts'))
    .map((file) => [file, readFileSync(`${ROOT}${file}`, 'utf8')]),
);

/** A file and what it imports, without the places that only declare a member, and without comments and types. */
const CODE = new Map([...sources].map(([file, text]) => [file, text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')]));
function reads(file: string, name: string): boolean {
  const escaped = name.replace(/[^A-Za-z0-9_]/g, '\\$&');
  const declared = new RegExp(`['"]?\\b${escaped}['"]?: (?:Type\\.|[A-Z]\\w*)`, 'g');
  const used = new RegExp(`(?<![\\w~@-])${escaped}(?![\\w])`);
  return used.test(CODE.get(file)!.replace(declared, ''));
}
/** The files of protocols and resources, by the names of their literals; of those in a family's folder too. */
const literals = Map.groupBy(
  [...sources.keys()].filter((file) => /^src\/(protocols|resources|agent-2018)\//.test(file)),
  (file) => basename(file, '.ts'),
);
/** The kinds of records that a file is about, and the protocols whose commands it calls by name: what it hands on is read there. */
const behind = (file: string): string[] => {
  const text = sources.get(file)!;
  const records = [...text.matchAll(/from '[./]*(records\/[a-z0-9-]+\.ts)'/g)].map(([, path]) => `src/${path}`);
  const protocols = [...text.matchAll(/'([a-z0-9-]+)'/g)].flatMap(([, name]) => literals.get(name!) ?? []);
  const beside = [file, ...protocols].flatMap((one) =>
    [...sources.get(one)!.matchAll(/from '\.\/([a-z-]+\.ts)'/g)].map(([, path]) => `${dirname(one)}/${path}`),
  );
  return [...records, ...protocols, ...beside].filter((path) => sources.has(path));
};

test('every declared member of a query and of a body is read', () => {
  const operations = operationsOf(createRegistry(PROTOCOLS as never, UNBOUND_RECORDS as never, FORMATS), [], {
    multitenant: true,
    managesWallets: true,
  });
  const unread: string[] = [];
  for (const op of operations) {
    const route = `${op.method} ${op.path}`;
    const members = [...namesIn(op.query?.schema), ...namesIn(op.body?.schema)];
    const lists = [...sources].filter(([, text]) => text.includes(`list: '${op.path}'`)).map(([file]) => file);
    const own = [...sources].filter(([, text]) => text.includes(`'${route}'`)).map(([file]) => file);
    // routes whose names are put together
    const family = `/${op.path.split('/')[1]!}`;
    if (own.length === 0 && lists.length === 0)
      own.push(...[...sources].filter(([, text]) => text.includes(`${family}/`) || text.includes(`'${family}'`)).map(([file]) => file));
    const files = [...own, ...own.flatMap(behind), ...(lists.length > 0 ? [...lists, 'src/admin/operations.ts'] : [])];
    if (files.some((file) => /from '[./]*\/times\.ts'/.test(sources.get(file)!))) files.push('src/admin/times.ts');
    // whoever waits for a record does so before the operation
    if (op.watches !== undefined) files.push('src/admin/perform.ts');
    for (const name of new Set(members)) {
      // what has the name of a format is handed to that
      if (FORMATS.some((format) => format.name === name)) continue;
      if (!Object.hasOwn(WITHOUT_EFFECT, name) && !files.some((file) => reads(file, name))) unread.push(`${route} ${name}`);
    }
  }
  assert.deepEqual(unread.sort(), []);
});
