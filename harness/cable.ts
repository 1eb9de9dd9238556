import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';

/** A wire before a port, which can be cut. */
export interface Cable {
  /** Host and port, in the place of those behind it. */
  readonly address: string;
  /** Ends every connection, and takes none until it is mended. */
  cut(): void;
  mend(): void;
  stop(): Promise<void>;
}

/** Connects a port of its own with `port`, both on loopback, byte for byte. */
export async function startCable(port: number): Promise<Cable> {
  const ends = new Set<Socket>();
  let whole = true;
  const keep = (socket: Socket, other: () => Socket): Socket => {
    ends.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      ends.delete(socket);
      other().destroy();
    });
    return socket;
  };
  const server = createServer((near) => {
    if (!whole) {
      near.destroy();
      return;
    }
    const far: Socket = keep(dial(port, '127.0.0.1'), () => near);
    keep(near, () => far);
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    whole = false;
    for (const end of ends) end.destroy();
  };
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    mend() {
      whole = true;
    },
    async stop() {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
