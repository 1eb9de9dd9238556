import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** The language of comments and documents (CONTRIBUTING.md), and casts that the compiler does not check. */

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const sources = (): string[] => globSync('src/**/*.ts', { cwd: ROOT }).filter((file) => !/\.(test|conformance)\.ts$/.test(file));
const documents = (): string[] => ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', ...globSync('docs/*.md', { cwd: ROOT })];

/** Lines by their place, as in `src/app.ts:12: text`. */
const linesOf = (file: string): string[] =>
  read(file)
    .split('\n')
    .map((line, i) => `${file}:${i + 1}: ${line.trim()}`);
/** The lines of a file that are comments, or end with one. */
const commentsOf = (file: string): string[] =>
  linesOf(file).flatMap((line) => {
    const [place, text] = [line.slice(0, line.indexOf(': ') + 2), line.slice(line.indexOf(': ') + 2)];
    if (/^(\/\*\*|\*|\/\/|\?? ?\/\/)/.test(text)) return [line];
    const behind = /\s(\/\/ .*)$/.exec(text);
    return behind ? [place + behind[1]] : [];
  });

/** Verbs by which data would speak. */
const SPEECH = /\b(says|said|saying|tells|told|telling|hears|heard|speaks|spoke|spoken|talks|talked)\b/;
/** A sentence, or a row of a table, that begins with a relative clause instead of a noun. */
const HEADLESS = /(\/\*\*|\*|\/\/) (What|Who|Whoever|Whatever|Whose|Whom|what|who|whoever)\b/;

/** Texts that quote such a word, with the reason. */
const QUOTED: readonly (readonly [text: string, reason: string])[] = [
  ['`tell`', 'the former name of a kind of job'],
  ['name of a `local-message`', 'the former name of a kind of job'],
];
const quoted = (line: string): boolean => QUOTED.some(([text]) => line.includes(text));

/** Sentences that may be left. The bound only falls. */
const LEFT = 40;

test('comments and documents do not let data speak, and begin with no relative clause', () => {
  const comments = sources().flatMap(commentsOf);
  const lines = [...comments, ...documents().flatMap(linesOf)];
  assert.ok(lines.length > 5000);
  // a continued line is no beginning: its sentence began above
  const headless = comments.filter((line) => HEADLESS.test(line) && !/: \* [a-z]/.test(line));
  const found = [...lines.filter((line) => SPEECH.test(line) && !quoted(line)), ...headless];
  assert.ok(found.length <= LEFT, `${found.length} sentences, more than ${LEFT}:\n${found.join('\n')}`);
});

/** Casts by way of another type, which no compiler checks: the one place of each, and why no type can do it. */
const CASTS: Readonly<Record<string, string>> = {
  'src/didcomm/sodium.ts': 'the published types of sodium-native take no plain byte array',
  'src/adapters/algorand/status-codec.ts': 'the types of zlib have no `info`',
  'src/adapters/transport/keeper.ts': 'the types of ws have no fields of unfinished frames',
};

/** Double casts without a reason above that other files may still have: `jsonOf` and `checkedAs` of `kernel/json.ts` are for typed JSON. The bound only falls. */
const CASTS_LEFT = 40;

test('a cast by way of another type stands where the list has a reason', () => {
  const found = sources().flatMap((file) => Array.from(read(file).matchAll(/\bas (?:unknown|object) as\b/g), () => file));
  for (const file of Object.keys(CASTS)) assert.equal(found.filter((one) => one === file).length, 1, file);
  const others = found.filter((file) => !(file in CASTS));
  assert.ok(others.length <= CASTS_LEFT, `${others.length} double casts, more than ${CASTS_LEFT}:\n${others.join('\n')}`);
});
