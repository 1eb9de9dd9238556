import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';

/** One block as a line of the journal: round, time and the groups in base64. */
export interface JournalEntry {
  r: number;
  t: number;
  g: string[];
}

export interface Journal {
  readonly entries: readonly JournalEntry[];
  /** Writes a block; with `sync` it is on disk when this returns. */
  append(entry: JournalEntry, sync: boolean): void;
  close(): void;
}

const isEntry = (value: unknown): value is JournalEntry => {
  const entry = value as Partial<JournalEntry> | null;
  return typeof entry?.r === 'number' && typeof entry.t === 'number' && Array.isArray(entry.g);
};

const parse = (line: string): unknown => {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
};

/**
 * Opens or starts a journal: a text file, a header line and then a line per block. A last line that is torn (no line end, or not whole) was never
 * acknowledged: it is cut off.
 * @throws Error if the file belongs to another genesis, or is damaged before its last line
 */
export const openJournal = (path: string, genesisHash: string): Journal => {
  const file = openSync(path, 'a+', 0o600);
  try {
    const text = readFileSync(path, 'utf8');
    const lines = text.split('\n');
    lines.pop();
    const entries: JournalEntry[] = [];
    let good = 0;
    lines.forEach((line, index) => {
      const value = parse(line);
      if (index === 0) {
        const found = (value as { genesis?: string } | undefined)?.genesis;
        if (found === undefined && lines.length > 1) throw new Error(`${path} is not a journal of this ledger`);
        if (found === undefined) return;
        if (found !== genesisHash) throw new Error(`${path} belongs to another genesis (${found}); this one is ${genesisHash}`);
      } else if (isEntry(value)) {
        entries.push(value);
      } else {
        if (index < lines.length - 1) throw new Error(`${path} is damaged at line ${index + 1}`);
        return;
      }
      good += Buffer.byteLength(line) + 1;
    });
    if (good < Buffer.byteLength(text)) ftruncateSync(file, good);
    if (good === 0) {
      writeSync(file, `${JSON.stringify({ genesis: genesisHash })}\n`);
      fdatasyncSync(file);
    }
    return {
      entries,
      append: (entry, sync) => {
        const before = fstatSync(file).size;
        try {
          writeSync(file, `${JSON.stringify(entry)}\n`);
          if (sync) fdatasyncSync(file);
        } catch (error) {
          // Half a line in the middle would make the file unreadable: what was not acknowledged goes.
          ftruncateSync(file, before);
          throw error;
        }
      },
      close: () => closeSync(file),
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
};
