import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Operation } from '../src/admin/operations.ts';
import { operationsOf } from '../src/admin/server.ts';
import { FORMATS, PROTOCOLS, UNBOUND_RECORDS } from '../src/builtin-protocols.ts';
import { createRegistry } from '../src/kernel/registry.ts';
import { mayCall } from '../src/web/roles.ts';
import { BEYOND, OF_PAGES } from './support/acapy-answers.ts';

/**
 * What is served, against ACA-Py's OpenAPI document and the documents of this repository. `FLEXID_WRITE_DOCS=1 ./flexid test admin-operations` writes the
 * derived parts of docs/AdminAPI.md, docs/Console.md and docs/deviations.md anew.
 */
const file = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const acapy = readFileSync(file('test/vectors/acapy/operations.tsv'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [method, path, tag, query] = line.split('\t') as [string, string, string, string];
    return { name: `${method} ${path}`, tag, query: query ? query.split(',') : [] };
  });
const pathOf = (op: Operation): string => op.path.replace('*}', '}');
const nameOf = (op: Operation): string => `${op.method} ${pathOf(op)}`;
const operations = operationsOf(createRegistry(PROTOCOLS as never, UNBOUND_RECORDS as never, FORMATS), [], {
  multitenant: true,
  managesWallets: true,
});

/** Compares a part of a document between two marks with what it should be, or writes it. */
function derived(document: string, mark: string, wanted: string): void {
  const text = readFileSync(file(document), 'utf8');
  const [begin, end] = [`<!-- ${mark}: derived -->\n`, `<!-- /${mark} -->`];
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  assert.ok(text.includes(begin) && to > 0, `${document} has no part ${mark}`);
  if (process.env.FLEXID_WRITE_DOCS) writeFileSync(file(document), text.slice(0, from) + wanted + text.slice(to));
  else assert.equal(text.slice(from, to), wanted, `${document}: FLEXID_WRITE_DOCS=1 ./flexid test admin-operations writes it anew`);
}

test('ACA-Py has 195 operations; a path of ours that it has takes its parameters too', () => {
  assert.equal(acapy.length, 195);
  const missing = operations.flatMap((op) => {
    const theirs = acapy.find(({ name }) => name === nameOf(op));
    const ours = Object.keys((op.query?.schema as { properties?: object } | undefined)?.properties ?? {});
    return (theirs?.query ?? []).filter((name) => !ours.includes(name)).map((name) => `${nameOf(op)} ${name}`);
  });
  assert.deepEqual(missing, []);
});

test('paths name their parameters as ACA-Py does', () => {
  const blank = (name: string): string => name.replace(/\{[^}]*\}/g, '{}');
  const wrong = operations
    .map(nameOf)
    .filter((name) => !acapy.some((one) => one.name === name) && acapy.some((one) => blank(one.name) === blank(name)));
  assert.deepEqual(wrong, []);
});

test('docs/deviations.md lists what is not served, all of it and nothing else', () => {
  const served = new Set(operations.map(nameOf));
  const byTag = new Map<string, string[]>();
  for (const { name, tag } of acapy) if (!served.has(name)) byTag.set(tag, [...(byTag.get(tag) ?? []), `\`${name}\``]);
  const count = [...byTag.values()].flat().length;
  const lines = [...byTag].sort(([a], [b]) => (a < b ? -1 : 1)).map(([tag, names]) => `- ${tag}: ${names.join(', ')}`);
  derived(
    'docs/deviations.md',
    'unserved',
    `${195 - count} of ACA-Py's 195 operations are served. These ${count} are not:\n\n${lines.join('\n')}\n`,
  );
});

test("docs/deviations.md lists the members of answers that ACA-Py's have not", () => {
  const lists = `- Every list that is paged: ${OF_PAGES.map((name) => `\`${name}\``).join(', ')}`;
  const lines = Object.entries(BEYOND).map(
    ([definition, members]) => `- ${definition}: ${members.map((name) => `\`${name}\``).join(', ')}`,
  );
  derived('docs/deviations.md', 'beyond', `${[lists, ...lines].join('\n')}\n`);
});

test('docs/Console.md has what an issuer and a verifier do beyond reading', () => {
  const marks = (op: Operation): string[] => (['issuer', 'verifier'] as const).map((role) => (mayCall(role, op) ? 'yes' : ''));
  // what is a GET and no reading has its row too
  const rows = operations
    .filter((op) => !mayCall('auditor', op) && (op.method === 'GET' || mayCall('issuer', op) || mayCall('verifier', op)))
    .map((op) => `| \`${nameOf(op)}\` | ${marks(op).join(' | ')} |`)
    .sort();
  derived('docs/Console.md', 'roles', `| operation | issuer | verifier |\n| --- | --- | --- |\n${rows.join('\n')}\n`);
});

test('docs/AdminAPI.md is the table of what is served', () => {
  const tags = [...new Set(operations.map((op) => op.tag))].sort();
  const sections = tags.map((tag) => {
    const rows = operations
      .filter((op) => op.tag === tag)
      .map((op) => {
        const query = Object.keys((op.query?.schema as { properties?: object } | undefined)?.properties ?? {});
        const own = acapy.some(({ name }) => name === nameOf(op)) ? '' : ' (this agent only)';
        return `| ${op.method} | \`${pathOf(op)}\` | ${op.summary}${own} | ${query.map((name) => `\`${name}\``).join(', ')} | ${op.body ? 'yes' : ''} | ${op.auth} |`;
      });
    return `### ${tag}\n\n| method | path | what | query | body | key |\n| --- | --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  derived('docs/AdminAPI.md', 'operations', `${operations.length} operations.\n\n${sections.join('\n')}`);
});
