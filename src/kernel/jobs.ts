import { createHash } from 'node:crypto';
import type { JsonObject } from '../ports/json.ts';
import type { LedgerWrite } from '../ports/ledger.ts';
import type { EventWrite, JobWrite } from '../ports/store.ts';
import type { RouteHint } from './effects.ts';
import { newId } from './ids.ts';
import type { ConnectionlessPeer } from './record.ts';

/** The record that a REST call answers with; jobs carry it so that each later step can write the result. */
export interface AnswerRef {
  readonly category: string;
  readonly id: string;
}

/** A job with no due time: it waits for `claim({lane})`. */
export const NEVER = Number.MAX_SAFE_INTEGER;

export interface DeliverPayload {
  envelope: string;
  endpoint?: string;
  connection?: string;
  /** Where it is not that of DIDComm. */
  mediaType?: string;
  /** It asks for its answers on the connection that it goes on. */
  pulls?: true;
  /** It goes on the connection that asked for it, or not at all. */
  transient?: boolean;
  /** It may go the way that the message came, to who has no connection. */
  back?: boolean;
  /** The exchange that it belongs to: a failed delivery becomes its `error_msg`. */
  record?: AnswerRef;
  /** It shows keys of ours, and does not leave before their mediator has confirmed them. */
  blockedBy?: KeyRegistrationBarrier;
  /** The messages of a cloud agent to one host have a lane of their own. */
  lane?: string;
  /** It is given up at this time (ms). */
  until?: number;
  /** The command that follows when it is given up, with the reason as `reason`. */
  onFailure?: Pick<CommandPayload, 'protocol' | 'command' | 'category' | 'id' | 'input'>;
  /** An agency has given it back, for this reason. */
  returned?: string;
}

/** Keys of ours, and the mediation through which mail for them comes. */
export interface KeyRegistrationBarrier {
  mediation: { tenant: string; id: string };
  keys: string[];
}

/**
 * Keys of one commit to register with a mediator. Mail of the commit is in its own lane already and holds it, so that nothing overtakes it; what else the commit
 * ordered follows with the end of this job. Or keys to deregister.
 */
export type KeylistPayload =
  | {
      mediation: { tenant: string; id: string };
      keys: { verkey: string; connection?: string; wallet?: string; route?: RouteHint }[];
      /** Lanes whose mail waits for this. */
      lanes: string[];
      /** A message in a mailbox. */
      kept: DeliverPayload[];
      jobs: JobWrite[];
      /** The connection whose `error_msg` names a refusal of the mediator. */
      connection?: string;
    }
  | { removedKeys: string[] };

export interface EventPayload {
  event: string;
  target: string;
}

export interface CommandPayload {
  protocol: string;
  command: string;
  category: string;
  id: string;
  input: JsonObject;
  answer?: AnswerRef;
}

export interface LocalMessagePayload {
  connection?: string;
  replyTo?: ConnectionlessPeer;
  continues?: boolean;
  message: JsonObject;
  answer?: AnswerRef;
}

export interface WorkPayload {
  protocol: string;
  category: string;
  id: string;
  op: string;
  input: JsonObject;
  result: string;
  answer?: AnswerRef;
}

export interface LedgerPayload {
  protocol: string;
  category: string;
  id: string;
  write: LedgerWrite;
  verkey: string;
  result: string;
  answer?: AnswerRef;
  /** Another agent pays: by this connection, or by that of the tenant's endorser. */
  endorser?: { connection?: string };
  /** The record of its endorsement, once there is one, and the endorser's group, once that is to be written. */
  endorsement?: Endorsement;
}

/** How far the endorsement of a write is. */
export interface Endorsement {
  readonly transaction: string;
  readonly group?: JsonObject;
}

interface Payloads {
  deliver: DeliverPayload;
  event: EventPayload;
  command: CommandPayload;
  'local-message': LocalMessagePayload;
  work: WorkPayload;
  ledger: LedgerPayload;
  keylist: KeylistPayload;
}

/** The payload of a job. Jobs are written by the functions of this file alone, so those of a kind have its form. */
export const payloadOf = <K extends keyof Payloads>(_kind: K, job: { readonly payload: object }): Payloads[K] => job.payload as Payloads[K];

/** A short, stable name for a lane or a dedup key. */
export const shortHash = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 22);

const job = (kind: JobWrite['kind'], lane: string, payload: object, callId?: string, notBefore?: number): JobWrite => ({
  id: newId(),
  kind,
  lane,
  payload: payload as JsonObject,
  callId,
  notBefore,
});

/** Lane of a peer's mail: one per connection, or per endpoint where there is none. */
const deliverLane = (tenant: string, payload: DeliverPayload): string =>
  `deliver:${tenant}:${payload.lane ?? payload.connection ?? shortHash(payload.endpoint ?? '')}`;

export const deliverJob = (tenant: string, payload: DeliverPayload, notBefore?: number): JobWrite =>
  job('deliver', deliverLane(tenant, payload), payload, undefined, payload.endpoint ? notBefore : (notBefore ?? NEVER));

const eventJob = (tenant: string, record: string, payload: EventPayload): JobWrite =>
  job('event', `event:${payload.target}:${tenant}:${record}`, payload);

/** An event, and its webhook jobs. `category` is the record's; an event of no record has its topic's name there. */
export function eventOf(
  tenant: string,
  webhooks: readonly { readonly id: string }[],
  topic: string,
  record: string,
  payload: JsonObject,
  category = topic,
): { events: [EventWrite]; jobs: JobWrite[] } {
  const id = newId();
  return {
    events: [{ id, topic, category, record, value: { payload } }],
    jobs: webhooks.map((target) => eventJob(tenant, record, { event: id, target: target.id })),
  };
}

/** A command that is due later has a lane of its own: it must not hold up what the controller does meanwhile. */
export const commandJob = (tenant: string, payload: CommandPayload, callId?: string, notBefore?: number): JobWrite =>
  job(
    'command',
    `command:${tenant}:${payload.category}:${payload.id}${notBefore ? `:${payload.command}` : ''}`,
    payload,
    callId,
    notBefore,
  );

export const localMessageJob = (tenant: string, payload: LocalMessagePayload, callId?: string): JobWrite =>
  job('local-message', `local-message:${tenant}:${payload.connection ?? payload.replyTo?.key}`, payload, callId);

export const workJob = (tenant: string, payload: WorkPayload, callId?: string, allocate?: JobWrite['allocate']): JobWrite => ({
  ...job('work', `work:${tenant}:${payload.category}:${payload.id}`, payload, callId),
  ...(allocate && { allocate }),
});

/** An envelope for a wallet that is locked: kept as it came, by the instance, until it can be opened. It is looked at again by itself, and when the wallet is opened. */
export const inboxJob = (tenant: string, body: Uint8Array, notBefore: number): JobWrite =>
  job('inbox', inboxLane(tenant), { tenant, body: Buffer.from(body).toString('base64') }, undefined, notBefore);
export const inboxLane = (tenant: string): string => `inbox:${tenant}`;

/** Writes of one DID keep their order: the ledger compares versions. */
export const ledgerJob = (tenant: string, payload: LedgerPayload, callId?: string): JobWrite =>
  job('ledger', `ledger:${tenant}:${payload.write.did}`, payload, callId);

export const keylistJob = (tenant: string, payload: KeylistPayload, callId?: string): JobWrite =>
  job(
    'keylist',
    `keylist:${tenant}:${'removedKeys' in payload ? `removed ${payload.removedKeys[0]}` : payload.keys[0]!.verkey}`,
    payload,
    callId,
  );
