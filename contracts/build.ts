import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assemble } from '../devnet/assembler.ts';

/**
 * Compiles the registry to TEAL (TEALScript, offline), assembles it and completes the ARC-56 description with bytecode and the messages of its assertions.
 * `--check` compiles into a temporary folder and fails if any committed artifact differs.
 */
const here = import.meta.dirname;
const NAME = 'FlexidRegistry';
const FILES = [`${NAME}.approval.teal`, `${NAME}.clear.teal`, `${NAME}.arc56.json`] as const;
const PAGE = 2048;

interface Arc56 {
  sourceInfo: Record<string, unknown>;
  byteCode?: Record<string, string>;
  compilerInfo?: unknown;
}

const build = (): { files: Map<string, string>; size: number } => {
  const out = mkdtempSync(join(tmpdir(), 'registry-'));
  try {
    const compiler = join(here, 'node_modules/@algorandfoundation/tealscript/dist/bin/tealscript.js');
    if (!existsSync(compiler)) throw new Error('TEALScript is not installed: run npm ci --ignore-scripts in contracts/');
    execFileSync(process.execPath, [compiler, '--skip-algod', 'registry.algo.ts', out], {
      cwd: here,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const files = new Map(FILES.map((file) => [file as string, readFileSync(join(out, file), 'utf8')]));
    const approval = assemble(files.get(FILES[0]) as string);
    const clear = assemble(files.get(FILES[1]) as string);
    const spec: Arc56 = JSON.parse(files.get(FILES[2]) as string);
    const messages = Object.entries(approval.errors).map(([pc, errorMessage]) => ({ pc: [Number(pc)], errorMessage }));
    spec.sourceInfo = {
      approval: { sourceInfo: messages, pcOffsetMethod: 'none' },
      clear: { sourceInfo: [], pcOffsetMethod: 'none' },
    };
    spec.byteCode = { approval: Buffer.from(approval.bytes).toString('base64'), clear: Buffer.from(clear.bytes).toString('base64') };
    files.set(FILES[2], `${JSON.stringify(spec, null, 2)}\n`);
    return { files, size: approval.bytes.length };
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
