import { randomUUID } from 'node:crypto';
import { openEnvelope, pack, parseEnvelope } from '../src/didcomm/envelope-v1.ts';
import type { KeyPair } from '../src/didcomm/key-cache.ts';
import { newKeyPair } from '../src/didcomm/keys.ts';
import { ENVELOPE_V1 } from '../src/didcomm/media-types.ts';
import { OWN_PREFIX, TOOLBOX_PREFIX } from '../src/didcomm/message-types.ts';

/** An owner in this process, with one key pair and nothing else. Nobody can reach it: it sends orders, and fetches its mail. */

// biome-ignore lint/suspicious/noExplicitAny: messages of an agent are as free as JSON
type Body = any;

/** The type of a message of a toolbox family, as in `ADMIN('schemas', 'send-schema')`. */
export const ADMIN = (family: string, name: string): string => `${TOOLBOX_PREFIX}admin-${family}/0.1/${name}`;
export const REVOKE = `${OWN_PREFIX}admin-revocation/1.0/revoke`;
export const EVENT = `${OWN_PREFIX}agent-config/1.0/event`;
const PICKUP = 'https://didcomm.org/messagepickup/2.0';
const RETURNED = { '~transport': { return_route: 'all' } };
/** How long an answer, or an event, may take; less where failures are expected. */
const PATIENCE_MS = 10 * Number(process.env.FLEXID_TEST_PATIENCE_MS ?? 12_000);
const PAUSE_MS = 20;
/** It grows to this: an owner that waits for the ledger asks seldom. */
const LONGEST_PAUSE_MS = 500;

export interface Kept {
  readonly id: string;
  readonly message: Body;
}

export interface Owner {
  readonly pair: KeyPair;
  /** The agent's key and address. */
  to: { verkey: string; url: string };
  /** Every body that was posted, and came back. */
  readonly wire: string[];
  /** Seals and posts. @returns the status, and the message that came back */
  post(message: Body): Promise<{ status: number; reply?: Body }>;
  /** @returns the message's id @throws Error where it is not taken */
  send(type: string, body?: object, id?: string): Promise<string>;
  /** Its mail, which stays until it is acknowledged. */
  fetch(): Promise<Kept[]>;
  acknowledge(ids: readonly string[]): Promise<void>;
  /** Waits for the answer to a message, and acknowledges it. What else is kept for it stays. */
  answer(id: string): Promise<Body>;
  ask(type: string, body?: object, id?: string): Promise<Body>;
  /** All events until one is as wanted, acknowledged with it. */
  events(wanted: (event: Body) => boolean): Promise<Body[]>;
}

async function until<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  const began = Date.now();
  for (let pause = PAUSE_MS; Date.now() - began < PATIENCE_MS; pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS)) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  throw new Error(`the owner waited in vain for ${what}`);
}

export function createOwner(pair: KeyPair = newKeyPair()): Owner {
  const wire: string[] = [];
  const open = (text: string): Body => {
    const { message, sender } = openEnvelope(parseEnvelope(Buffer.from(text)), pair);
    if (sender !== owner.to.verkey) throw new Error('an envelope is not sealed by the key of the agent');
    return JSON.parse(Buffer.from(message).toString('utf8'));
  };
  const owner: Owner = {
    pair,
    to: { verkey: '', url: '' },
    wire,
    async post(message) {
      const body = pack({ message: JSON.stringify(message), recipients: [owner.to.verkey], sender: pair });
      const headers = { 'content-type': ENVELOPE_V1 };
      const answer = await fetch(owner.to.url, { method: 'POST', headers, body, signal: AbortSignal.timeout(120_000) });
      const text = await answer.text();
      wire.push(body, text);
      return { status: answer.status, reply: answer.status === 200 && text ? open(text) : undefined };
    },
    async send(type, body = {}, id = randomUUID()) {
      const { status } = await owner.post({ '@type': type, '@id': id, ...body });
      if (status !== 202) throw new Error(`${type} was answered ${status}`);
      return id;
    },
    async fetch() {
      const { reply } = await owner.post({ '@type': `${PICKUP}/delivery-request`, '@id': randomUUID(), limit: 100, ...RETURNED });
      const attached = (reply?.['~attach'] ?? []) as { '@id': string; data: { json: Body } }[];
      return attached.map((one) => ({ id: one['@id'], message: open(JSON.stringify(one.data.json)) }));
    },
    async acknowledge(ids) {
      await owner.post({ '@type': `${PICKUP}/messages-received`, '@id': randomUUID(), message_id_list: ids, ...RETURNED });
    },
    async answer(id) {
      const found = await until(async () => (await owner.fetch()).find(({ message }) => message['~thread']?.thid === id), 'an answer');
      await owner.acknowledge([found.id]);
      return found.message;
    },
    ask: async (type, body, id) => await owner.answer(await owner.send(type, body, id)),
    async events(wanted) {
      const found = await until(async () => {
        const kept = (await owner.fetch()).filter(({ message }) => message['@type'] === EVENT);
        return kept.some(({ message }) => wanted(message)) ? kept : undefined;
      }, 'an event');
      await owner.acknowledge(found.map(({ id }) => id));
      return found.map(({ message }) => message);
    },
  };
  return owner;
}
