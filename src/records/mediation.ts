import { AppError } from '../errors.ts';
import type { NewKeyOwner } from '../kernel/effects.ts';
import type { StepContext } from '../kernel/protocol.ts';
import { compact, defineRecord, type OwnAddress, viewHead } from '../kernel/record.ts';
import type { StoredRecord } from '../ports/store.ts';

/** Mediation on one connection (RFC 0211), under the names of ACA-Py's MediationRecord. */
export interface MediationValue {
  [member: string]: unknown;
  connection_id: string;
  role: 'server' | 'client';
  mediator_terms?: readonly string[];
  recipient_terms?: readonly string[];
  /** As a recipient: the routing keys of the grant, as did:key references. */
  routing_keys?: readonly string[];
  /** The same as verkeys. */
  routing_verkeys?: readonly string[];
  endpoint?: string;
  thread_id?: string;
  /** As a recipient: new keys go through it, unless a call names another. */
  is_default?: boolean;
  /** As a recipient: it was made the default one by --mediator-invitation. */
  adopted?: boolean;
  /** As a mediator: the verkey of the grant. */
  routing_key?: string;
}

/** `role`: `server` mediates, `client` is mediated. */
export const mediation = defineRecord<MediationValue>({
  category: 'mediation',
  idField: 'mediation_id',
  label: 'Mediation',
  topic: 'mediation',
  states: ['request', 'granted', 'denied'],
  view: (record) =>
    compact({
      ...viewHead(record),
      mediation_id: record.id,
      role: record.role,
      connection_id: record.value.connection_id,
      mediator_terms: record.value.mediator_terms,
      recipient_terms: record.value.recipient_terms,
      routing_keys: record.value.routing_keys ?? [],
      endpoint: record.value.endpoint,
    }),
  tags: ({ thread_id, connection_id, role, is_default }) => ({
    thread: thread_id,
    connection_id,
    server: role === 'server' ? connection_id : undefined,
    client: role === 'client' ? connection_id : undefined,
    default: is_default ? 'yes' : undefined,
  }),
  admin: {
    list: '/mediation/requests',
    one: '/mediation/requests/{mediation_id}',
    tag: 'mediation',
    filters: { conn_id: 'connection_id' },
  },
});

/** The key that forwards are sealed to: one for all whom a tenant mediates. */
export const routingKey = defineRecord<{ verkey: string }>({
  category: 'routing_key',
  idField: 'id',
  states: [],
  view: ({ value }) => ({ verkey: value.verkey }),
  tags: () => ({}),
});

/** The id of the one record of that kind. */
export const ONLY = 'default';

/** Which mediation a tenant's new keys go through, unless a call names another. */
export const defaultMediation = { category: mediation.category, tag: 'default', equals: 'yes' };

/** A mediator of ours as it was granted, and whose it is: a tenant may use the base wallet's. */
export interface Mediator {
  readonly [member: string]: unknown;
  readonly tenant: string;
  readonly id: string;
  readonly endpoint: string;
  readonly routingKeys: readonly string[];
}

/** The mediator of a granted mediation; undefined for any other. */
export function mediatorOf(tenant: string, row: StoredRecord | undefined): Mediator | undefined {
  const { endpoint, routing_verkeys } = (row?.value ?? {}) as Partial<MediationValue>;
  if (row?.state !== 'granted' || row.role !== 'client' || !endpoint) return undefined;
  return { tenant, id: row.id, endpoint, routingKeys: routing_verkeys ?? [] };
}

/** The address that peers get: our own endpoint, or a mediator's, under its routing keys. */
export interface OwnService extends OwnAddress {
  /** The mediation whose mediator registers a key of ours before any peer gets it. */
  readonly mediation?: { readonly tenant: string; readonly id: string };
  /** The mediator that was asked for by name, to be asked for again. */
  readonly mediator?: Mediator;
}

/**
 * The service of a new key: by the mediation that a call names (loaded as `mediation`), or that its connection was begun with; at the endpoint that a call names;
 * else through the default mediator, or at our own endpoint.
 * @throws AppError where the named mediation is none that can be used
 */
export function ownService(
  ctx: StepContext,
  asked: {
    readonly mediation_id?: string;
    readonly my_endpoint?: string;
    readonly mediator?: unknown;
    /** Past the default mediator: it is the mediator that is connected with. */
    readonly unmediated?: boolean;
  } = {},
): OwnService {
  const through = (mediator: Mediator): OwnService => ({
    endpoint: mediator.endpoint,
    routingKeys: mediator.routingKeys,
    mediation: { tenant: mediator.tenant, id: mediator.id },
  });
  if (asked.mediation_id) {
    const row = ctx.loaded.mediation;
    if (!row) throw new AppError('not-found', `Record not found: ${mediation.category}/${asked.mediation_id.slice(0, 100)}`);
    const mediator = mediatorOf(ctx.tenant, row);
    if (!mediator) throw new AppError('bad-request', `Mediation is not granted for mediation identified by ${row.id}`);
    return { ...through(mediator), mediator };
  }
  if (asked.mediator) return { ...through(asked.mediator as Mediator), mediator: asked.mediator as Mediator };
  if (asked.my_endpoint) return { endpoint: asked.my_endpoint, routingKeys: [] };
  if (ctx.settings.mediator && !asked.unmediated) return through(ctx.settings.mediator);
  const { endpoint, moreEndpoints: more } = ctx.settings;
  return endpoint ? { endpoint, more, routingKeys: [] } : { endpoint, routingKeys: [], pulls: true };
}

/** The lookup of a step that takes a `mediation_id`. */
export const mediationLookup = (id: unknown): Record<string, { category: string; id: string }> =>
  typeof id === 'string' && id ? { mediation: { category: mediation.category, id } } : {};

/** The service of a DID on the ledger: through the named mediator, at the DID's own endpoint, or the service of new keys. */
export const ledgerService = (
  ctx: StepContext,
  { mediator, metadata }: { readonly mediator?: unknown; readonly metadata: Readonly<Record<string, unknown>> },
  mediation_id?: string,
): OwnService =>
  ownService(ctx, { mediation_id, mediator, my_endpoint: typeof metadata.endpoint === 'string' ? metadata.endpoint : undefined });

/** The mediator of a service, to be kept beside the DID. */
export const mediatorIn = (ctx: StepContext, service: OwnService): Mediator | undefined =>
  service.mediation && (service.mediator ?? ctx.settings.mediator);

/** The owner of a DID's key: its mediator registers the key before the ledger has the service. */
export const routedFirst = (
  service: OwnService,
  verkey: string,
  name: string,
): { removedKeyOwners?: string[]; keyOwners?: NewKeyOwner[] } =>
  service.mediation ? { removedKeyOwners: [verkey], keyOwners: [keyOwnerFor(service, verkey, 'public', name)] } : {};

/** The owner of a new key of ours. Where the key is mediated, its mediator registers it first. */
export const keyOwnerFor = (service: OwnService, kid: string, kind: string, target: string): NewKeyOwner => ({
  kid,
  kind,
  target,
  ...(service.mediation ? { mediation: service.mediation } : {}),
});

/** The members of a connection for the service that its keys were made for. */
export const servedBy = (service: OwnService): { mediated?: true; pulls?: true } => ({
  mediated: service.mediation && true,
  pulls: service.pulls,
});
