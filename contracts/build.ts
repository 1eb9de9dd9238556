import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { assemble } from '../devnet/assembler.ts';

/**
 * Compiles the registry (Algorand TypeScript with puya-ts, offline) to TEAL, bytecode and an ARC-56 description with the messages of its assertions.
 * The dev ledger's assembler must make the same bytecode of the TEAL. `--check` compiles into a temporary folder and fails if any committed artifact differs.
 */
const here = import.meta.dirname;
const NAME = 'FlexidRegistry';
const FILES = [`${NAME}.approval.teal`, `${NAME}.clear.teal`, `${NAME}.arc56.json`] as const;
const PAGE = 2048;

interface Arc56 {
  sourceInfo: Record<'approval' | 'clear', { sourceInfo: { pc: number[]; errorMessage?: string }[]; pcOffsetMethod: string }>;
  byteCode: Record<'approval' | 'clear', string>;
  source?: unknown;
}

/** The compiler's two halves: the front end of npm, and the back end of PyPI, at PUYA_PATH or in `.venv`. */
const compiler = (): { front: string; back: string } => {
  const front = join(here, 'node_modules/@algorandfoundation/puya-ts/bin/run-cli.mjs');
  const back = process.env.PUYA_PATH ?? join(here, '.venv/bin/puya');
  if (!existsSync(front)) throw new Error('puya-ts is not installed: run npm ci --ignore-scripts in contracts/');
  if (!existsSync(back)) throw new Error('puya is not installed: README.md has the two commands');
  return { front, back };
};

const build = (): { files: Map<string, string>; size: number } => {
  const out = mkdtempSync(join(tmpdir(), 'registry-'));
  const { front, back } = compiler();
  try {
    const flags = ['--output-teal', '--output-arc56', '--output-bytecode', '--no-output-arc32', '--no-output-source-map'];
    execFileSync(process.execPath, [front, 'registry.algo.ts', '--puya-path', back, '--out-dir', relative(here, out), ...flags], {
      cwd: here,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const text = (file: string): string => readFileSync(join(out, file), 'utf8');
    const spec: Arc56 = JSON.parse(text(FILES[2]));
    for (const kind of ['approval', 'clear'] as const) {
      const assembled = Buffer.from(assemble(text(`${NAME}.${kind}.teal`)).bytes).toString('base64');
      if (assembled !== spec.byteCode[kind]) throw new Error(`the dev ledger assembles another ${kind} program than the compiler`);
      const { sourceInfo, pcOffsetMethod } = spec.sourceInfo[kind];
      const messages = sourceInfo.flatMap(({ pc, errorMessage }) => (errorMessage === undefined ? [] : [{ pc, errorMessage }]));
      spec.sourceInfo[kind] = { sourceInfo: messages, pcOffsetMethod };
    }
    // The TEAL stands beside it.
    delete spec.source;
    const files = new Map(FILES.slice(0, 2).map((file) => [file as string, `${text(file).trimEnd()}\n`]));
    files.set(FILES[2], `${JSON.stringify(spec, null, 2)}\n`);
    return { files, size: Buffer.from(spec.byteCode.approval, 'base64').length };
  } finally {
    rmSync(out, { recursive: true });
  }
};

const { files, size } = build();
if (size > PAGE) throw new Error(`the approval program has ${size} bytes, more than one page of ${PAGE}`);
if (process.argv.includes('--check')) {
  const drift = [...files].filter(([file, text]) => readFileSync(join(here, 'artifacts', file), 'utf8') !== text).map(([file]) => file);
  if (drift.length > 0) {
    console.error(`differs from its source: ${drift.join(', ')}; run npm run build`);
    process.exit(1);
  }
  console.log(`artifacts match the source; approval program ${size} bytes`);
} else {
  for (const [file, text] of files) writeFileSync(join(here, 'artifacts', file), text);
  console.log(`approval program ${size} bytes`);
}
