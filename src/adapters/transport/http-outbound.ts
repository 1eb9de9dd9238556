import type { buildConnector as BuildConnector, Dispatcher } from 'undici';
import { AppError } from '../../errors.ts';
import type { DeliveryResult, Outbound } from '../../ports/transport.ts';
import type { EgressGuard } from './egress.ts';
import { Agent, buildConnector } from './undici.ts';
import { wsNotify } from './ws-notify.ts';

/** The bound of a webhook's answer, which nobody reads. */
const MAX_UNREAD = 4 << 20;

interface Answer {
  status: number;
  type: string;
  body: Buffer;
}

/** Connects only where the guard allows it, whatever a name resolves to: what was looked up, and the socket itself. */
export function guardedConnector(guard: EgressGuard, timeoutMs: number): BuildConnector.connector {
  const connect = buildConnector({ timeout: timeoutMs, lookup: guard.lookup as never });
  return (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (error) return callback(error, null);
      try {
        guard.checkAddress(socket.remoteAddress ?? '0.0.0.0', socket.remotePort ?? 0);
      } catch (refused) {
        socket.destroy();
        return callback(refused as Error, null);
      }
      callback(null, socket);
    });
}

/**
 * Outbound HTTP by undici: envelopes through the egress guard, checked on the connected socket; no redirects; answers bounded in time and size.
 * @param maxBytes of a peer's answer: as for any other message
 * @param timeoutMs for connecting, for the headers and between bytes of an answer; the whole answer may take half as long again
 */
export function httpOutbound(guard: EgressGuard, mediaType: string, timeoutMs: number, maxBytes: number): Omit<Outbound, 'link'> {
  const guarded = new Agent({
    connections: 64,
    pipelining: 1,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    keepAliveTimeout: 30_000,
    connect: guardedConnector(guard, timeoutMs),
  });
  const free = new Agent({ connections: 64, headersTimeout: timeoutMs, bodyTimeout: timeoutMs, connectTimeout: timeoutMs });

  return {
    async deliver(endpoint, envelope, type = mediaType, signal = undefined): Promise<DeliveryResult> {
      const url = guard.checkUrl(endpoint);
      const answer = await post(guarded, url, { 'content-type': type }, envelope, timeoutMs, maxBytes, true, signal);
      return { status: answer.status, body: answer.body.length > 0 ? answer.body : undefined };
    },
    async notify(url, headers, body, signal) {
      if (/^wss?:/i.test(url)) return await wsNotify(new URL(url), headers, body, timeoutMs, signal);
      const answer = await post(free, new URL(url), headers, body, timeoutMs, MAX_UNREAD, false, signal);
      return { status: answer.status };
    },
    async close() {
      await Promise.allSettled([guarded.destroy(), free.destroy()]);
    },
  };
}

/** A POST by undici's dispatch, which costs a fifth of fetch. `keep` collects the answer's body. */
function post(
  agent: Agent,
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  timeoutMs: number,
  maxBytes: number,
  keep: boolean,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let status = 0;
    let type = '';
    let current: Dispatcher.DispatchController | undefined;
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
      reject(asDelivery(error, url));
    };
    const giveUp = (): void => {
      const error = new AppError('delivery-failed', `${url.origin} takes long while others wait`);
      expired = true;
      current?.abort(error);
      fail(error);
    };
    const timer = setTimeout(() => {
      // endless answers end here: the controller is aborted by the next chunk, and the caller does not wait for it
      expired = true;
      fail(new AppError('delivery-failed', `${url.origin} did not answer in ${timeoutMs / 1000} s`));
    }, timeoutMs * 1.5);
    let expired = false;
    if (signal?.aborted) return giveUp();
    signal?.addEventListener('abort', giveUp, { once: true });
    agent.dispatch(
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'POST',
        headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
        body,
      },
      {
        onRequestStart(controller) {
          current = controller;
          if (expired) controller.abort(new AppError('delivery-failed', `${url.origin} was given up`));
        },
        onResponseStart(_controller, statusCode, responseHeaders) {
          status = statusCode;
          const given = responseHeaders['content-type'];
          type = Array.isArray(given) ? (given[0] ?? '') : (given ?? '');
        },
        onResponseData(controller, chunk) {
          size += chunk.length;
          if (size > maxBytes || expired)
            controller.abort(new AppError('delivery-failed', `${url.origin} answered with more than ${maxBytes} bytes`));
          else if (keep) chunks.push(Buffer.from(chunk));
        },
        onResponseEnd() {
          clearTimeout(timer);
          signal?.removeEventListener('abort', giveUp);
          resolve({ status, type, body: Buffer.concat(chunks) });
        },
        onResponseError(_controller: Dispatcher.DispatchController, error: Error) {
          fail(error);
        },
      },
    );
  });
}

function asDelivery(error: unknown, url: URL): AppError {
  if (error instanceof AppError) return error;
  const { code, message, cause } = error as { code?: string; message?: string; cause?: unknown };
  if (cause instanceof AppError) return cause;
  return new AppError('delivery-failed', `${url.origin} could not be reached: ${code ?? message ?? 'no reason given'}`, { cause: error });
}
