import { randomUUID } from 'node:crypto';
import { didKeyToVerkey, looksLikeVerkey } from './encoding.ts';
import { MAX_RECIPIENTS, pack } from './envelope-v1.ts';
import { defaultKeyCache, type KeyCache } from './key-cache.ts';

/** The type of a forward message (RFC 0094, routing 1.0). */
export const FORWARD_TYPE = 'https://didcomm.org/routing/1.0/forward';

/**
 * Wraps a packed message for its way through mediators (RFC 0094, RFC 0067): one anonymous envelope per routing key, the mediator nearest to the recipient
 * first in the list. Each names only the next one. Without routing keys the message is returned as it is.
 * @param packed JSON text of an envelope
 * @param to verkey (base58) or did:key of the recipient
 * @throws EnvelopeRefused when a routing key is no verkey
 */
export function wrapForward(packed: string, to: string, routingKeys: readonly string[], cache: KeyCache = defaultKeyCache): string {
  if (routingKeys.length > MAX_RECIPIENTS) throw new RangeError('too many routing keys');
  let message = packed;
  let next = verkeyOf(to);
  for (const key of routingKeys) {
    const mediator = verkeyOf(key);
    // The inner envelope is JSON already: it goes in as an object, as it is, without being parsed again.
    message = pack(
      { message: `{"@type":"${FORWARD_TYPE}","@id":"${randomUUID()}","to":"${next}","msg":${message}}`, recipients: [mediator] },
      cache,
    );
    next = mediator;
  }
  return message;
}

/**
 * The content of a forward message: the verkey of its recipient and the JSON text to pass on; undefined when it is not a proper forward. `msg` may be an object, as RFC
 * 0094 has it, or JSON text, as some agents send it.
 */
export function readForward(body: { to?: unknown; msg?: unknown }): { to: string; msg: string } | undefined {
  if (typeof body.to !== 'string') return undefined;
  const to = body.to.startsWith('did:key:') ? didKeyToVerkey(body.to) : body.to;
  if (to === undefined || !looksLikeVerkey(to)) return undefined;
  if (typeof body.msg === 'string') return isObject(body.msg) ? { to, msg: body.msg } : undefined;
  if (typeof body.msg !== 'object' || body.msg === null || Array.isArray(body.msg)) return undefined;
  return { to, msg: JSON.stringify(body.msg) };
}

function isObject(text: string): boolean {
  if (!text.startsWith('{')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function verkeyOf(key: string): string {
  const verkey = key.startsWith('did:key:') ? didKeyToVerkey(key) : key;
  if (verkey === undefined || !looksLikeVerkey(verkey)) throw new RangeError('not a verkey or did:key');
  return verkey;
}
