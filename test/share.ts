import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'node:test';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { findOwnModules } from '../src/own-modules.ts';

/**
 * One of the processes that share the files of a run: it takes the next file that no other has, until there is none. Each file is a suite of its own, whose hooks
 * are its own. The modules of the agent, a second of a core to load, are loaded once in each of these processes.
 *
 * `FLEXID_SHARE` names the folder of the run: `files.json` and a mark for each item that was taken.
 */
const folder = process.env.FLEXID_SHARE as string;
const { root, items, limitMs } = JSON.parse(readFileSync(join(folder, 'files.json'), 'utf8')) as {
  root: string;
  items: string[][];
  limitMs: number;
};

findOwnModules(new URL('../', import.meta.url).href);
// a run of many files draws the same values each time; a file by itself draws others
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 2018 });

const take = (index: number): boolean => {
  try {
    mkdirSync(join(folder, String(index)));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
};

// a test that waits for what keeps no process alive ends no process of others
const alive = setInterval(() => {}, limitMs);
for (const [index, files] of items.entries()) {
  if (!take(index)) continue;
  for (const [place, file] of files.entries()) {
    process.env.FLEXID_KEYS_TAKEN = join(folder, 'keys', `${index}-${place}`);
    await suite(file, { timeout: limitMs }, async () => {
      await import(pathToFileURL(join(root, file)).href);
    });
  }
}
clearInterval(alive);
