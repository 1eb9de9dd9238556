import type { Static } from 'typebox';
import { OfferRefused, readOffer } from '../didcomm/offer-2018.ts';
import { AppError } from '../errors.ts';
import { isAutomatic } from '../kernel/decisions.ts';
import type { Effects } from '../kernel/effects.ts';
import { id2018 } from '../kernel/key-owners.ts';
import type { JsonObject } from '../ports/json.ts';
import { type Ctx, keyOf, loadedValue, merge, NAME, type Offer, refuse, urlOf } from './connection-parts.ts';
import { isNetworkDid, locate, networkDids, peerIn2018, type Resolved } from './key-trust.ts';

/** An offer as a controller gives it. @throws AppError `bad-request` */
export function givenOffer(given: JsonObject | string): { id: string; message: Static<typeof Offer> } {
  try {
    const { id, message } = readOffer(given);
    return { id, message: message as Static<typeof Offer> };
  } catch (error) {
    if (error instanceof OfferRefused) throw new AppError('bad-request', error.message);
    throw error;
  }
}

interface Wishes {
  readonly alias?: string;
  readonly auto?: boolean;
  readonly profile?: string;
  readonly encoding?: 'any';
}

export function offered(ctx: Ctx, id: string, offer: Static<typeof Offer>, wishes: Wishes): Effects {
  if (offer.offer_nonce !== id) refuse('offer-nonce-mismatch');
  const auto = isAutomatic(ctx.settings, 'connection-invitation', wishes.auto);
  const begun = {
    role: 'invitee',
    patch: {
      protocol: NAME,
      accept: auto ? ('auto' as const) : ('manual' as const),
      alias: wishes.alias,
      invitation_mode: 'once' as const,
      invitation_msg_id: id,
      their_label: offer.label ?? undefined,
      invitation_key: offer.offer_verkey,
    },
  };
  const keyOwners = [{ kid: id2018(`offer ${id}`), kind: 'offer', target: id }];
  const dids = networkDids(offer.did);
  const echo = { offer, auto, encoding: wishes.encoding };
  if (dids.length === 0) return { ...merge(begun, invited(ctx, offer, {}, echo)), keyOwners };
  return {
    record: { ...begun, states: ['init'], silent: true },
    keyOwners,
    work: [{ op: 'agent-2018/resolve', input: { dids, echo: JSON.parse(JSON.stringify(echo)) }, result: 'offer-located' }],
  };
}

/** An offer whose sender is found: it waits to be accepted. */
export function invited(ctx: Ctx, offer: Static<typeof Offer>, found: Resolved, wishes: { auto: boolean; encoding?: 'any' }): Effects {
  const named = { did: offer.did, verkey: offer.verkey ?? keyOf(offer.endpoint), endpoint: urlOf(offer.endpoint) };
  const located = locate(ctx.settings.agent2018Peers, 'endpoint', named, found, loadedValue(ctx, 'earlier'));
  if (located.endpoint === undefined) refuse('endpoint-unknown');
  return {
    record: {
      states: ['invitation'],
      patch: {
        invitation_key: offer.offer_verkey ?? located.verkey,
        their_public_did: isNetworkDid(offer.did) ? offer.did : undefined,
        their_endpoint: located.endpoint,
        agent2018: peerIn2018(located, offer.did, 'spec', wishes.encoding),
      },
    },
    next: ctx.auto('connection-invitation', {
      ...{ message: 'connection_offer', automatic: wishes.auto, accept: 'accept-invitation', reject: 'decline' },
    }),
  };
}
