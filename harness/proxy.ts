import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What stands before replicas: each request goes to the next one. */
export interface RoundRobin {
  readonly url: string;
  /** Requests that were passed on, by backend. */
  readonly passed: readonly number[];
  close(): Promise<void>;
}

/** How long a backend that refused a connection is left out. */
const OUT_MS = 1000;

/**
 * A round-robin HTTP proxy on loopback, as small as a demo needs. A backend that takes no connection is passed over; one that goes away in the middle of a request
 * is 503 to the caller, who knows best whether the request may be said again.
 */
export async function startProxy(backends: readonly number[], port = 0): Promise<RoundRobin> {
  const agent = new Agent({ keepAlive: true });
  const passed = backends.map(() => 0);
  const outUntil = backends.map(() => 0);
  let turn = 0;
  const next = (): number => {
    for (let i = 0; i < backends.length; i++) {
      const at = turn++ % backends.length;
      if (outUntil[at]! <= Date.now()) return at;
    }
    return turn++ % backends.length;
  };
  const give = (response: ServerResponse, status: number): void => {
    if (!response.headersSent) response.writeHead(status);
    response.end();
  };

  function pass(incoming: IncomingMessage, body: Buffer, response: ServerResponse, tries: number): void {
    const at = next();
    const { method, url: path, headers } = incoming;
    const onward = request({ host: '127.0.0.1', port: backends[at]!, method, path, headers, agent }, (answer) => {
      passed[at]! += 1;
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    onward.on('error', (error: NodeJS.ErrnoException) => {
      // never taken, so another one may have it; a connection kept from before that was closed meanwhile took nothing either
      const untaken = error.code === 'ECONNREFUSED' || (onward.reusedSocket && error.code === 'ECONNRESET' && method === 'GET');
      if (error.code === 'ECONNREFUSED') outUntil[at] = Date.now() + OUT_MS;
      if (untaken && tries > 1) pass(incoming, body, response, tries - 1);
      else if (response.headersSent) response.destroy();
      else give(response, 503);
    });
    onward.end(body);
  }

  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('error', () => response.destroy());
    incoming.on('end', () => pass(incoming, Buffer.concat(chunks), response, backends.length));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    async close() {
      server.closeAllConnections();
      agent.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
