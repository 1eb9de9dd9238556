/** One line per step with its time; a bar while rows run, on a terminal only. */
export function createScreen() {
  let since = performance.now();
  const terminal = process.stdout.isTTY === true;
  const clear = (): void => {
    if (terminal) process.stdout.write('\r\x1b[K');
  };
  return {
    begin: (_step: string): void => {
      since = performance.now();
    },
    line(step: string, made: string): void {
      clear();
      const now = performance.now();
      process.stdout.write(`${((now - since) / 1000).toFixed(2).padStart(7)} s  ${step.padEnd(36)} ${made}\n`);
      since = now;
    },
    row(done: number, total: number): void {
      const width = 30;
      const full = Math.round((done / total) * width);
      const bar = `           [${'#'.repeat(full)}${'.'.repeat(width - full)}] ${done}/${total}`;
      if (terminal) process.stdout.write(`\r\x1b[K${bar}`);
      else if (total > 1 && (done === total || done % Math.max(1, Math.floor(total / 4)) === 0)) process.stdout.write(`${bar}\n`);
    },
    end: clear,
    table(rows: readonly (readonly [string, string])[]): void {
      const width = Math.max(...rows.map(([name]) => name.length));
      process.stdout.write(`\n${rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n')}\n\n`);
    },
  };
}

export type Screen = ReturnType<typeof createScreen>;
