/** What a process tells of itself through its inspector (`--inspect`), without code of the bench in it. */
export interface Inspector {
  /** After garbage collection, in bytes. */
  memory(): Promise<{ rss: number; heapUsed: number; external: number }>;
  /** User and system, all threads, since the start of the process. */
  cpuMicroseconds(): Promise<number>;
  close(): void;
}

export async function openInspector(port: number): Promise<Inspector> {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as { webSocketDebuggerUrl: string }[];
  const socket = new WebSocket(target!.webSocketDebuggerUrl);
  const waiting = new Map<number, (result: unknown) => void>();
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown };
    if (id !== undefined) waiting.get(id)?.(result);
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', reject);
  });
  let last = 0;
  const call = (method: string, params: object = {}): Promise<unknown> =>
    new Promise((resolve) => {
      waiting.set(++last, resolve);
      socket.send(JSON.stringify({ id: last, method, params }));
    });
  async function value<T>(expression: string): Promise<T> {
    const { result } = (await call('Runtime.evaluate', { expression: `JSON.stringify(${expression})` })) as { result: { value: string } };
    return JSON.parse(result.value) as T;
  }
  return {
    async memory() {
      // the second takes what the finalizers of the first let go
      for (let i = 0; i < 2; i++) await call('HeapProfiler.collectGarbage');
      return await value('process.memoryUsage()');
    },
    async cpuMicroseconds() {
      const { user, system } = await value<{ user: number; system: number }>('process.cpuUsage()');
      return user + system;
    },
    close: () => socket.close(),
  };
}
