import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { filesOf } from './run.ts';

/** The unit tests as one file: most of what one of them takes is its start, and here everything is loaded once. */
const ROOT = fileURLToPath(new URL('../', import.meta.url));
for (const file of filesOf(['unit'])) await import(join(ROOT, file));
