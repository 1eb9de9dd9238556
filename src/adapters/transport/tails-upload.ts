import type { Agent } from 'undici';
import { AppError } from '../../errors.ts';
import { TAILS_MS } from './tails.ts';

/**
 * Hands files to a tails server of the operator's, as `PUT <url>` with the part `tails` (bcgov/indy-tails-server): to wherever it is, without redirects.
 */
export function tailsUpload(timeoutMs = TAILS_MS): { put(url: string, bytes: Uint8Array): Promise<number>; close(): Promise<void> } {
  let agent: Agent | undefined;
  return {
    async put(url, bytes) {
      // forms are in the whole of undici, which other requests do without
      const undici = await import('undici');
      agent ??= new undici.Agent({ connections: 4, pipelining: 1, connectTimeout: timeoutMs });
      const body = new undici.FormData();
      body.append('tails', new Blob([Uint8Array.from(bytes)], { type: 'application/octet-stream' }), 'tails');
      try {
        const answer = await undici.request(url, { method: 'PUT', body, dispatcher: agent, signal: AbortSignal.timeout(timeoutMs) });
        await answer.body.dump();
        return answer.statusCode;
      } catch (error) {
        const { name, code, message } = error as Error & { code?: string };
        const why = name === 'TimeoutError' ? `did not answer in ${timeoutMs / 1000} s` : `could not be reached: ${code ?? message}`;
        throw new AppError('tails-unavailable', `the tails server ${new URL(url).origin} ${why}`, { cause: error });
      }
    },
    close: async () => agent?.destroy(),
  };
}
