import { WebSocket } from 'ws';
import { AppError } from '../../errors.ts';

/** How long the other side has for its closing frame. */
const GOODBYE_MS = 1000;

/**
 * Sends a webhook as one frame of a WebSocket of its own, as ACA-Py does for `ws` addresses; its headers are those of the handshake. 200 stands for the answer to a ping behind
 * the frame: the protocol has no other.
 * @param timeoutMs for the handshake; all of it may take half as long again
 * @param signal ends it early
 * @throws AppError `delivery-failed`
 */
export function wsNotify(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<{ status: number }> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new AppError('delivery-failed', `${url.protocol}//${url.host} was given up`));
    const socket = new WebSocket(url, { headers, handshakeTimeout: timeoutMs, perMessageDeflate: false, maxPayload: 64 << 10 });
    const giveUp = (): void => fail('takes long while others wait');
    const fail = (why: string): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
      socket.terminate();
      reject(new AppError('delivery-failed', `${url.protocol}//${url.host} ${why}`));
    };
    const timer = setTimeout(() => fail(`did not answer in ${timeoutMs / 1000} s`), timeoutMs * 1.5);
    signal?.addEventListener('abort', giveUp, { once: true });
    socket.once('open', () => {
      socket.send(body);
      socket.ping();
    });
    socket.once('pong', () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
      resolve({ status: 200 });
      socket.close(1000);
      setTimeout(() => socket.terminate(), GOODBYE_MS).unref();
    });
    socket.once('unexpected-response', (request, { statusCode }) => {
      request.destroy();
      fail(`answered ${statusCode} instead of opening a WebSocket`);
    });
    socket.on('error', (error: Error & { code?: string }) => fail(`could not be reached: ${error.code ?? error.message}`));
    socket.once('close', () => fail('closed the WebSocket'));
  });
}
