import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Writes text to a file that gets its name once all of it is on the disk. A process that ends before leaves a file with `.part` behind the name. */
export async function writeWhole(file: string, lines: AsyncIterable<string> | Iterable<string>): Promise<void> {
  const part = `${file}.part`;
  rmSync(part, { force: true });
  const out = openSync(part, 'wx', 0o600);
  try {
    for await (const line of lines) writeSync(out, line);
    fsyncSync(out);
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  } finally {
    closeSync(out);
  }
  renameSync(part, file);
  const folder = openSync(dirname(file), 'r');
  fsyncSync(folder);
  closeSync(folder);
}
