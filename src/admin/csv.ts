import { createRequire } from 'node:module';
import { AppError } from '../errors.ts';

/** It comes with the first table. */
const require = createRequire(import.meta.url);
const library = () => require('csv-parse/sync') as typeof import('csv-parse/sync');

/** The bounds of a table: rows with its header, columns, and characters of a cell. */
export interface TableBounds {
  readonly rows: number;
  readonly columns: number;
  readonly cell: number;
}

/** The separator is the one of the three that the header has most of. */
function separatorOf(text: string): string {
  const header = text.slice(0, 100_000).split('\n', 1)[0]!;
  const count = (mark: string): number => header.split(mark).length;
  return [',', ';', '\t'].reduce((best, mark) => (count(mark) > count(best) ? mark : best));
}

/**
 * A table of texts (RFC 4180), separated by commas, semicolons or tabs, with or without a byte order mark.
 * @returns its header and its rows, each as long as the header
 * @throws AppError `bad-request` with the line that does not fit
 */
export function tableOf(text: string, bounds: TableBounds): { columns: string[]; rows: string[][] } {
  const { CsvError, parse } = library();
  let lines: string[][];
  try {
    lines = parse(text, {
      bom: true,
      delimiter: separatorOf(text),
      skip_empty_lines: true,
      trim: true,
      to: bounds.rows + 2,
      max_record_size: bounds.columns * bounds.cell,
    });
  } catch (error) {
    if (error instanceof CsvError) throw new AppError('bad-request', `csv: ${error.message.slice(0, 300)}`);
    throw error;
  }
  const [columns, ...rows] = lines;
  if (!columns || rows.length === 0)
    throw new AppError('bad-request', 'csv: it needs a line with the names of the columns, and a line for each credential');
  if (rows.length > bounds.rows) throw new AppError('bad-request', `csv: a batch has ${bounds.rows} rows at most`);
  if (columns.length > bounds.columns) throw new AppError('bad-request', `csv: it has more than ${bounds.columns} columns`);
  return { columns, rows };
}

/** Spreadsheets take a cell that begins so for a formula. */
const FORMULA = /^[=+\-@\t\r]/;

/** A table as CSV (RFC 4180) for spreadsheets: a cell that one would compute has an apostrophe before it. */
export function csvOf(rows: readonly (readonly string[])[]): string {
  const cell = (text: string): string => {
    const plain = FORMULA.test(text) ? `'${text}` : text;
    return /[",;\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };
  return rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}
