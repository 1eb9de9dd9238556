/** How far the database's clock is ahead of this machine's. */
export async function skewOf(client: { query(text: string): Promise<{ rows: unknown[] }> }): Promise<number> {
  const before = Date.now();
  const [row] = (await client.query('SELECT flexid.now_ms()::float8 AS now')).rows as { now: number }[];
  return Math.round(row!.now - (before + Date.now()) / 2);
}

const LOOK_AT_CLOCK_MS = 30_000;

/** The database's time without asking it each time; clocks drift, so it is asked now and then. */
export function databaseClock(first: number, read: () => Promise<number>): { now(): number; stop(): void } {
  let skew = first;
  const timer = setInterval(() => {
    // a failed read is repeated the next time
    read().then(
      (found) => {
        skew = found;
      },
      () => undefined,
    );
  }, LOOK_AT_CLOCK_MS);
  timer.unref();
  return { now: () => Date.now() + skew, stop: () => clearInterval(timer) };
}
