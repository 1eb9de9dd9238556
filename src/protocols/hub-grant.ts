import type { Static } from 'typebox';
import { OWN_PREFIX } from '../didcomm/message-types.ts';
import { AppError } from '../errors.ts';
import type { Effects, NextCommand } from '../kernel/effects.ts';
import { checkedAs, jsonOf } from '../kernel/json.ts';
import { mostOfConnection } from '../kernel/most-of-connection.ts';
import { command, defineProtocol, NEW, type StepContext } from '../kernel/protocol.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import { edv, vaultAt } from '../records/edv.ts';
import { type HubGrantValue, hubGrant } from '../records/hub-grant.ts';

type Ctx = StepContext<HubGrantValue>;

const Did = Type.String({ maxLength: 60, pattern: '^did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}$' });
const Line = (maxLength: number) => Type.Optional(Type.String({ maxLength }));
const Wanted = {
  /** The DID that invokes the capabilities. */
  controller: Did,
  /** The key that documents are to be encrypted to. */
  recipient: Type.String({ minLength: 1, maxLength: 500 }),
  types: Type.Optional(Type.Array(Type.String({ maxLength: 200 }), { maxItems: 50 })),
  purpose: Line(1000),
  duration: Type.Optional(Type.Integer({ minimum: 1, maximum: 90 * 24 * 3600 })),
};
/** A delegated capability, as far as it is read here: the hub verifies it when it is invoked. */
const Capability = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 2048 }),
  controller: Did,
  invocationTarget: Type.String({ maxLength: 2048, pattern: '^https?://' }),
  expires: Type.String({ maxLength: 40, pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?Z$' }),
  proof: Type.Object({ verificationMethod: Type.String({ maxLength: 200 }) }),
});
const Capabilities = Type.Array(Capability, { minItems: 1, maxItems: 100 });
type Capabilities = Static<typeof Capabilities>;
/** Requests of one connection that wait for the owner. */
const MAX_WAITING = 100;
const waiting = mostOfConnection(
  MAX_WAITING,
  { category: hubGrant.category, role: 'owner', state: 'request-received' },
  `${MAX_WAITING} requests of this connection wait already`,
);
const Reason = Type.Object({ reason: Line(1000) });

/**
 * How a service asks for documents of a vault, and how it is given them: by capabilities that the owner delegates, and by documents that are encrypted to the service's
 * key too. Neither this agent nor the hub has a key of the vault: the owner's own program makes both.
 */
export const hubGrants = defineProtocol<HubGrantValue>({
  name: 'hub-grant',
  uris: [`${OWN_PREFIX}hub-grant/1.0`],
  roles: ['owner', 'service'],
  binds: hubGrant,
  messages: {
    request: {
      schema: Type.Object(Wanted),
      from: [NEW],
      pages: waiting.pages,
      step(ctx, message): Effects {
        const full = waiting.full(ctx);
        if (full) return full;
        return {
          record: {
            role: 'owner',
            connection: ctx.connection!.id,
            states: ['request-received'],
            patch: { connection_id: ctx.connection!.id, thread_id: message.thid, ...wanted(message.body as Static<typeof Asked>) },
          },
          next: ctx.auto('hub-grant-request', { message: 'request', accept: 'wait', replace: 'accept', reject: 'decline' }),
        };
      },
    },
    grant: {
      schema: Type.Object({ capabilities: Capabilities }),
      from: [NEW, 'request-sent'],
      role: 'service',
      step(ctx, message) {
        const capabilities = checkedAs<Capabilities>(message.body.capabilities);
        const { controller } = ctx.record?.value ?? {};
        if (controller !== undefined && capabilities.some((one) => one.controller !== controller))
          throw new AppError('message-invalid', 'a capability is of another controller');
        if (Number.isNaN(endOf(capabilities))) throw new AppError('message-invalid', 'a capability ends at no time');
        const from = { connection_id: ctx.connection!.id, thread_id: message.thid };
        return {
          record: {
            role: 'service',
            connection: ctx.connection!.id,
            states: ['granted'],
            patch: { ...from, controller: capabilities[0]!.controller, ...lasting(capabilities) },
          },
          next: [expiring(ctx, capabilities)],
        };
      },
    },
    decline: {
      schema: Reason,
      from: ['request-sent'],
      role: 'service',
      step: (_ctx, message) => ({ record: { states: ['declined'], patch: { reason: message.body.reason as string | undefined } } }),
    },
    revoked: {
      schema: Reason,
      from: ['granted'],
      role: 'service',
      step: (_ctx, message) => ({ record: { states: ['revoked'], patch: { reason: message.body.reason as string | undefined } } }),
    },
  },
  commands: {
    request: command({
      route: 'POST /hub/grants/request',
      tag: 'hub',
      summary: 'Ask the owner of a vault for documents, as a service',
      body: Type.Object({ connection_id: Type.String(), ...Wanted }),
      from: [NEW],
      connection: 'connection_id',
      step(ctx, { body }) {
        const id = ctx.newId();
        const { connection_id, ...rest } = body;
        return {
          record: {
            role: 'service',
            connection: ready(ctx),
            states: ['request-sent'],
            patch: { connection_id, thread_id: id, ...wanted(rest) },
          },
          send: [{ type: 'request', id, body: rest }],
        };
      },
    }),
    give: command({
      route: 'POST /hub/grants',
      tag: 'hub',
      summary: 'Grant a service documents of a vault without its request',
      body: Type.Object({ connection_id: Type.String(), capabilities: Capabilities }),
      from: [NEW],
      connection: 'connection_id',
      step(ctx, { body: { connection_id, capabilities } }) {
        const id = ctx.newId();
        const connection = ready(ctx);
        return granted(ctx, capabilities, { role: 'owner', connection, patch: { connection_id, thread_id: id } }, id);
      },
    }),
    accept: command({
      route: 'POST /hub/grants/{grant_id}/accept',
      tag: 'hub',
      summary: 'Grant what a service asks for, by capabilities that the owner has delegated',
      body: Type.Object({ capabilities: Capabilities }),
      from: ['request-received'],
      role: 'owner',
      step(ctx, { body: { capabilities } }) {
        const { controller } = ctx.record!.value;
        if (capabilities.some((one) => one.controller !== controller))
          throw new AppError('bad-request', `A capability must have the controller ${controller}`);
        return granted(ctx, capabilities, {});
      },
    }),
    /** A decision without values changes nothing: the owner's program alone makes capabilities. */
    wait: { from: ['request-received'], role: 'owner', step: () => ({}) },
    decline: command({
      route: 'POST /hub/grants/{grant_id}/decline',
      tag: 'hub',
      summary: 'Decline what a service asks for',
      body: Reason,
      from: ['request-received'],
      role: 'owner',
      step: (_ctx, { body: { reason } }) => ({
        record: { states: ['declined'], patch: { reason } },
        send: [{ type: 'decline', body: { reason } }],
      }),
    }),
    revoke: command({
      route: 'DELETE /hub/grants/{grant_id}',
      tag: 'hub',
      summary: 'End a grant: its capabilities are revoked in the vaults of this agent, and the service is notified',
      body: Reason,
      from: ['granted'],
      role: 'owner',
      step(ctx, { body: { reason } }) {
        return {
          record: { states: ['revoked'], patch: { reason } },
          send: [{ type: 'revoked', body: { reason } }],
          next: inOwnVaults(ctx, checkedAs<Capabilities>(ctx.record!.value.capabilities ?? []), 'revoke'),
        };
      },
    }),
    expire: {
      from: ['granted'],
      step: (ctx) => ((ctx.record!.value.expires ?? 0) > ctx.now ? {} : { record: { states: ['expired'] } }),
    },
  },
});

const Asked = Type.Object(Wanted);
const wanted = ({ controller, recipient, types, purpose, duration }: Static<typeof Asked>): Partial<HubGrantValue> => ({
  controller,
  recipient,
  types,
  purpose,
  duration,
});

function ready(ctx: Ctx): string {
  const { state, id } = ctx.connection!;
  if (state !== 'active' && state !== 'response') throw new AppError('forbidden', `Connection ${id} is not ready`);
  return id;
}

/** NaN where one ends at a time that there is not. */
const endOf = (capabilities: Capabilities): number => Math.max(...capabilities.map(({ expires }) => Date.parse(expires)));

const lasting = (capabilities: Capabilities): Partial<HubGrantValue> => ({
  capabilities: capabilities.map(jsonOf),
  expires: endOf(capabilities),
});

const expiring = (ctx: Ctx, capabilities: Capabilities): NextCommand => ({
  command: 'expire',
  after: Math.max(0, endOf(capabilities) - ctx.now),
});

/** The effects of a grant: the message to the service, and in vaults of this agent the end of a former revocation's trace. */
function granted(ctx: Ctx, capabilities: Capabilities, record: NonNullable<Effects['record']>, id?: string): Effects {
  if (!(endOf(capabilities) > ctx.now)) throw new AppError('bad-request', 'The capabilities have expired');
  const patch = { ...record.patch, controller: capabilities[0]!.controller, ...lasting(capabilities) };
  return {
    record: { ...record, states: ['granted'], patch },
    send: [{ type: 'grant', id, body: { capabilities } }],
    next: [expiring(ctx, capabilities), ...inOwnVaults(ctx, capabilities, 'admit')],
  };
}

/** A command for each vault of this agent that a capability is of. */
function inOwnVaults(ctx: Ctx, capabilities: Capabilities, command: 'revoke' | 'admit'): NextCommand[] {
  const { hub } = ctx.settings;
  if (!hub) return [];
  return capabilities.flatMap(({ id, controller, invocationTarget, expires, proof }) => {
    const vault = vaultAt(hub.endpoint, ctx.tenant, invocationTarget);
    const delegator = proof.verificationMethod.split('#')[0]!;
    const input: JsonObject =
      command === 'admit' ? { controller } : { capability: id, delegator, controller, expires: Date.parse(expires) };
    return vault === undefined ? [] : [{ protocol: 'hub-vault', command, record: { category: edv.category, id: vault }, input }];
  });
}
