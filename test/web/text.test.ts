import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SETTINGS } from '../../src/config/settings.ts';

const WEB = fileURLToPath(new URL('../../web/', import.meta.url));
const read = (path: string): string => readFileSync(join(WEB, path), 'utf8');
const LANGUAGES = ['en', 'fr', 'ar'] as const;
const textsOf = (language: string): Record<string, string> => JSON.parse(read(`text/${language}.json`));
const sources = globSync('**/*.ts', { cwd: WEB, exclude: (name) => name === 'node_modules' });
const code = sources.map(read).join('\n');

/** Groups whose keys follow from values of the API: `word('state', ...)`. */
const groups = new Set([...code.matchAll(/\bword\(\s*'([a-z-]+)'/g)].map(([, group]) => group!));
const named = new Set([...code.matchAll(/'([a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*)'/g)].map(([, key]) => key!));
const asked = [...code.matchAll(/\bt\(\s*'([a-z][a-z0-9.-]*)'/g)].map(([, key]) => key!);
const PLURAL = /\.(?:zero|one|two|few|many|other)$/;

test('every key that the pages ask for has a text', () => {
  const texts = textsOf('en');
  assert.ok(asked.length > 50, `only ${asked.length} keys were found`);
  assert.deepEqual(
    [...new Set(asked)].filter((key) => !(key in texts) && !(`${key}.other` in texts)),
    [],
  );
});

test('every text is used', () => {
  const unused = Object.keys(textsOf('en')).filter((key) => {
    const plain = key.replace(PLURAL, '');
    return !named.has(key) && !named.has(plain) && !groups.has(key.split('.')[0]!) && !key.startsWith('role.');
  });
  assert.deepEqual(unused, []);
});

for (const language of LANGUAGES.slice(1))
  test(`${language} has the keys of English, with the same values in them`, () => {
    const [english, other] = [textsOf('en'), textsOf(language)];
    const plain = (texts: object): string[] => [...new Set(Object.keys(texts).map((key) => key.replace(PLURAL, '')))].sort();
    assert.deepEqual(plain(other), plain(english));
    const values = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!).sort();
    const wrong = Object.entries(other).filter(([key, text]) => {
      const same = english[key] ?? english[key.replace(PLURAL, '.other')] ?? '';
      return values(text).some((name) => !values(same).includes(name));
    });
    assert.deepEqual(wrong, []);
  });

test('every setting of a wallet and every kind of record has a word', () => {
  const texts = textsOf('en');
  const settings = Object.values(SETTINGS as Record<string, { tenant?: string; acapy?: string }>).flatMap(({ tenant, acapy }) =>
    tenant && acapy ? [`setting.${acapy}`] : [],
  );
  const document = readFileSync(join(WEB, '../docs/AdminAPI.md'), 'utf8');
  const kinds = [...document.matchAll(/List (\w+) records/g)].map(([, kind]) => `kind.${kind}`);
  assert.ok(settings.length > 20 && kinds.length > 20, `${settings.length} settings, ${kinds.length} kinds`);
  assert.deepEqual(
    [...settings, ...kinds].filter((key) => !(key in texts)),
    [],
  );
});

test('no sentence stands in the code of a page', () => {
  const found = sources.flatMap((path) =>
    [
      ...read(path)
        .replace(/^\s*(?:\/\/|\/?\*).*$/gm, '')
        .matchAll(/'([A-Z][a-z]+(?: [a-z]+)+[^'\n]*)'/g),
    ].map(([, text]) => `${path}: ${text}`),
  );
  assert.deepEqual(found, []);
});
