import { createInterface } from 'node:readline';

/** Answers commands: a JSON object per line on standard input, one per answer on standard output. Ends with its input. */
export function serve(commands) {
  const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const { call, do: name, ...members } = JSON.parse(line);
    try {
      tell({ call, ok: (await commands[name](members)) ?? null });
    } catch (error) {
      const { status } = error.cause?.status ? error.cause : error;
      tell({ call, error: { name: error.name, message: error.message, status } });
    }
  });
  lines.on('close', () => process.exit(0));
  tell({ event: 'ready' });
}
