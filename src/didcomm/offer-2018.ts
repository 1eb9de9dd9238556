import { agent2018Type } from './agent-2018-types.ts';
import { parseJsonObject } from './safe-json.ts';

/** A connection offer of the 2018 Agent Protocol, as far as whoever hands it on has to know it. */
export interface Offer2018 {
  readonly id: string;
  readonly type: string;
  readonly message: Readonly<Record<string, unknown>> & { readonly did: string; readonly offer_nonce: string };
}

/** Why a text is no offer: a sentence for whoever gave it. */
export class OfferRefused extends Error {
  override name = 'OfferRefused';
}

const refuse = (reason: string): never => {
  throw new OfferRefused(reason);
};

/**
 * An offer in any of the forms in which it travels: the object, its JSON, that as base64url, or a URL with the last under `c_o`.
 * @throws OfferRefused
 */
export function readOffer(given: object | string): Offer2018 {
  let value: Record<string, unknown>;
  try {
    value = typeof given === 'object' ? (given as Record<string, unknown>) : parseJsonObject(offerText(given.trim()));
  } catch {
    return refuse('The offer is neither JSON nor a text or URL that holds it');
  }
  const { id, type, message } = value;
  if (typeof id !== 'string' || typeof type !== 'string' || typeof message !== 'object' || message === null || Array.isArray(message))
    return refuse('The offer has no id, type and message');
  if (type.replace(/ /, '') !== agent2018Type('connection_offer') && !/\/(?:connection_)?offer$/.test(type))
    refuse(`This is no connection offer: ${type}`);
  for (const name of ['did', 'offer_nonce'] as const)
    if (typeof (message as Record<string, unknown>)[name] !== 'string') refuse(`The offer has no ${name}`);
  return { id, type, message: message as Offer2018['message'] };
}

function offerText(text: string): string {
  if (text.startsWith('{')) return text;
  const inUrl = /[?&]c_o=([A-Za-z0-9_-]+)/.exec(text)?.[1];
  return Buffer.from(inUrl ?? text, 'base64url').toString('utf8');
}

/** An offer as a text without special characters, and as a URL of the endpoint that made it. */
export function writeOffer(offer: object, endpoint: string): { text: string; url: string } {
  const text = Buffer.from(JSON.stringify(offer)).toString('base64url');
  return { text, url: `${endpoint}?c_o=${text}` };
}
