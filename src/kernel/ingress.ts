import { openEnvelope, parseEnvelope } from '../didcomm/envelope-v1.ts';
import type { KeyPair } from '../didcomm/key-cache.ts';
import { newKeyPair } from '../didcomm/keys.ts';
import { parseJsonObject } from '../didcomm/safe-json.ts';
import { isLocked } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Route } from '../ports/store.ts';
import type { Kernel } from './context.ts';
import { shortHash } from './jobs.ts';
import { readMessage } from './message.ts';
import type { Incoming } from './protocol.ts';
import { open2018 } from './wire-2018.ts';

const ROUTE_CACHE = 50_000;

/** A message that was opened, and whose it is. */
export interface Opened {
  readonly route: Route;
  readonly message: Incoming;
}

/** Why there is no message: `envelope` for bytes that are none, told with 400; everything else looks like success to the sender. */
export interface Refusal {
  readonly refused: string;
  /** For the tenant's controller, where the message was addressed to it. */
  readonly told?: Problem2018;
  /** The wallet that it is for is locked: it is to be kept. */
  readonly locked?: string;
}

/** What a controller hears of a message of the 2018 Agent Protocol that came to nothing: that protocol has no message to tell the peer. */
export interface Problem2018 {
  readonly tenant: string;
  readonly reason: string;
  readonly type?: string;
  readonly connection?: string;
}

/** From bytes to an addressed message: the same for every envelope and every transport. */
export interface Ingress {
  open(body: Uint8Array): Promise<Opened | Refusal>;
  /** What a key, or another name that mail may have, serves; from memory where it was asked for lately. */
  routeOf(kid: string): Promise<Route | undefined>;
}

export function createIngress(kernel: Kernel): Ingress {
  const routes = new Map<string, Route>();
  /** A key that nobody was ever told of. */
  const decoy = newKeyPair();
  // keys that serve nothing any more, and tenants that are gone, in whatever process that was decided
  kernel.db.jobs.subscribe(({ forget }) => {
    for (const name of forget) {
      routes.delete(name);
      if (name === '*') routes.clear();
      else for (const [kid, { tenant }] of routes) if (tenant === name) routes.delete(kid);
    }
  });

  async function routeOf(kid: string): Promise<Route | undefined> {
    const hit = routes.get(kid);
    if (hit) return hit;
    const route = await kernel.db.store.route(kid);
    if (route) {
      if (routes.size >= ROUTE_CACHE) routes.delete(routes.keys().next().value!);
      routes.set(kid, route);
    }
    return route;
  }

  /** What an envelope of a stranger costs where its key is one of ours, and the look-up that only another one needs: how long it took tells nobody which it was. */
  async function lookInVain(kid: string, remembered: boolean): Promise<void> {
    const equals = decoy.verkey;
    const lookups = ['their_key', 'listed_key', 'thread'].map((tag) => ({ category: 'connection', tag, equals }));
    await kernel.db.store.loadMarked(kernel.base, shortHash(equals), lookups);
    if (remembered) await kernel.db.store.route(kid);
  }

  /** RFC 0019: the envelope names its recipients. */
  async function openV1(body: Uint8Array, parsed: ReturnType<typeof parseEnvelope>): Promise<Opened | Refusal> {
    let route: Route | undefined;
    let remembered = false;
    for (const kid of parsed.recipients) {
      remembered = routes.has(kid);
      route = await routeOf(kid);
      if (route) break;
    }
    if (!route) {
      try {
        openEnvelope({ ...parsed, recipients: [decoy.verkey] }, decoy);
      } catch {}
      await lookInVain(parsed.recipients[0]!, false);
      return { refused: 'unknown_key' };
    }
    const { tenant, kid } = route;
    let pair: KeyPair | undefined;
    try {
      pair = await kernel.keys.pair(tenant, kid);
    } catch (error) {
      if (isLocked(error)) return { refused: 'locked', locked: tenant };
      if (!(await kernel.profiles.gone(tenant, error))) throw error;
    }
    if (!pair) return { refused: 'unknown_key' };
    try {
      const opened = openEnvelope(parsed, pair);
      // the transport has bounded the envelope, and what is in it is smaller
      const message = readMessage(parseJsonObject(opened.message, { maxBytes: body.length }) as JsonObject, opened.sender, route.kid);
      return { route, message };
    } catch {
      await lookInVain(kid, remembered);
      return { refused: 'not_opened' };
    }
  }

  return {
    routeOf,
    async open(body) {
      let parsed: ReturnType<typeof parseEnvelope>;
      try {
        parsed = parseEnvelope(body);
      } catch {
        return kernel.endpoints.all().length > 0 ? await open2018(kernel, body) : { refused: 'envelope' };
      }
      return await openV1(body, parsed);
    },
  };
}
