import { AppError } from '../../errors.ts';
import type { WebDocuments } from '../../ports/web.ts';
import type { EgressGuard } from './egress.ts';
import { guardedConnector } from './http-outbound.ts';
import { Agent, request } from './undici.ts';

/** Beyond what a DID document needs: did:web names the server, so its answer is a stranger's. */
const MAX_BYTES = 64 * 1024;
const DID_DOCUMENT = 'application/did+json, application/did+ld+json, application/json';
/** Fetched at a time, for all and for one tenant: slow servers must not take all the workers, nor those whom one names keep the others from theirs. */
const MAX_FLYING = 128;
const MAX_FLYING_EACH = 8;

/**
 * GET by undici, through the egress guard on the connected socket; no redirects.
 * @param timeoutMs for the whole answer
 */
export function webDocuments(guard: EgressGuard, timeoutMs: number): WebDocuments {
  const agent = new Agent({
    connections: 8,
    pipelining: 1,
    keepAliveTimeout: 5_000,
    maxOrigins: 256,
    connect: guardedConnector(guard, timeoutMs),
  });
  const flying = new Map<string, number>();
  let all = 0;
  return {
    async get(given, { accept = DID_DOCUMENT, maxBytes = MAX_BYTES, failure = 'did-unavailable', tenant = '' } = {}) {
      const url = guard.checkUrl(given);
      const unavailable = (why: string, cause?: unknown): AppError =>
        new AppError(failure, `${url.origin} ${why}`, { cause: cause as Error });
      const own = flying.get(tenant) ?? 0;
      if (all >= MAX_FLYING || own >= MAX_FLYING_EACH) throw unavailable('was not asked: too many documents are being fetched');
      all++;
      flying.set(tenant, own + 1);
      try {
        const asked = { origin: url.origin, path: url.pathname + url.search, method: 'GET' as const, headers: { accept } };
        const { statusCode, headers, body } = await request(agent, { ...asked, signal: AbortSignal.timeout(timeoutMs) });
        const chunks: Buffer[] = [];
        let size = 0;
        for await (const chunk of body as AsyncIterable<Buffer>) {
          size += chunk.length;
          // leaving the loop destroys the body, and with it the socket
          if (size > maxBytes) throw unavailable(`answered with more than ${maxBytes} bytes`);
          if (statusCode === 200) chunks.push(chunk);
        }
        const { location } = headers;
        return { status: statusCode, body: Buffer.concat(chunks), location: typeof location === 'string' ? location : undefined };
      } catch (error) {
        if (error instanceof AppError) throw error;
        const { name, code, message, cause } = error as Error & { code?: string };
        if (cause instanceof AppError) throw cause;
        if (name === 'TimeoutError') throw unavailable(`did not answer in ${timeoutMs / 1000} s`, error);
        throw unavailable(`could not be reached: ${code ?? message}`, error);
      } finally {
        all--;
        const left = flying.get(tenant)! - 1;
        if (left === 0) flying.delete(tenant);
        else flying.set(tenant, left);
      }
    },
    close: () => agent.destroy(),
  };
}
