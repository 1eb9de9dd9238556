import type { TSchema } from 'typebox';
import { AppError } from '../../errors.ts';
import type { Change, Effects, LedgerOrder, WorkOrder } from '../../kernel/effects.ts';
import { Endorser } from '../../kernel/endorsement.ts';
import { type CommandStep, changed, command, defineProtocol, NEW, type ResultStep } from '../../kernel/protocol.ts';
import { loadedRecord } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { LedgerWrite, RevocationStatus } from '../../ports/ledger.ts';
import { type CredentialDefinitionValue, credentialDefinitionRecord } from '../../records/anoncreds-credential-definition.ts';
import { RegistrySize, type RevocationRegistryValue, revocationRegistry } from '../../records/revocation-registry.ts';
import { ON_LEDGER, PUBLISHING, publishingCommands, publishingResults, unpublished } from './publishing.ts';
import { arranged, definitionOf, fullOf, makeOf, type RegistryContext, type Standing, usesOf } from './uses.ts';

type Step = CommandStep<RevocationRegistryValue>;
const registryCommand = <B extends TSchema>(step: Parameters<typeof command<B, RevocationRegistryValue>>[0]): Step => command(step);

/** A registry of the greatest size takes half a minute of one core, and the ledger has its time behind that. */
const MAKING_MS = 400_000;
/** How soon, and how seldom at last, the making of a registry is tried again. */
const AGAIN_MS = 10_000;
const SELDOM_MS = 10 * 60_000;

const CredDef = Type.Object({ cred_def_id: Type.String() });

const makeOrder = (id: string, value: RevocationRegistryValue): WorkOrder => ({
  op: 'anoncreds/registry',
  input: {
    registry: id,
    cred_def_id: value.cred_def_id,
    issuerId: value.issuerId,
    tag: value.tag,
    max_cred_num: value.max_cred_num,
  },
  result: 'made',
});

/** The definition, the log and its first record, in one group. */
const putOrder = ({ rev_reg_id, issuerId, definition, status, verkey, endorser }: RevocationRegistryValue): LedgerOrder => ({
  write: { kind: 'registry-put', id: rev_reg_id!, did: issuerId, object: definition!, status: status! },
  verkey,
  result: 'written',
  endorser,
});

/** Begins to serve as what its definition needs; a spare one, as nothing. */
function activates(own: Standing, others: readonly Standing[], spare: boolean): void {
  own.states = own.record.state === 'generated' ? ['posted', 'active'] : ['active'];
  if (spare) return;
  const taken = (use: string): boolean => others.some((one) => one.use === use);
  own.use = taken('issuing') ? (taken('backup') ? 'none' : 'backup') : 'issuing';
}

const create = registryCommand({
  timeoutMs: MAKING_MS,
  body: Type.Object({
    id: Type.String(),
    issuerId: Type.String(),
    cred_def_id: Type.String(),
    tag: Type.String({ minLength: 1, maxLength: 256 }),
    max_cred_num: RegistrySize,
    verkey: Type.String(),
    manual: Type.Optional(Type.Boolean()),
    spare: Type.Optional(Type.Boolean()),
    endorser: Type.Optional(Endorser),
  }),
  from: [NEW],
  step(_ctx, { body: { id, ...patch } }) {
    const value: RevocationRegistryValue = { ...patch, use: 'none' };
    return { record: { id, states: ['init'], patch: value }, work: [makeOrder(id, value)] };
  },
});

/** The making of a registry that stands still, from the first act that is not done. */
const make: Step = {
  from: ['init', 'generated'],
  step: ({ record }) => {
    const { id, state, value } = record!;
    return state === 'init' ? { work: [makeOrder(id, value)] } : { ledger: [putOrder(value)] };
  },
};

/** A generated registry goes to the ledger; as far as its controller wants. */
const post = registryCommand({
  timeoutMs: MAKING_MS,
  body: Type.Object({ activate: Type.Boolean(), endorser: Type.Optional(Endorser) }),
  from: ['generated'],
  step(ctx, { body: { activate, endorser = ctx.record!.value.endorser } }) {
    const patch = { manual: !activate || undefined, endorser };
    return { record: { patch }, ledger: [putOrder({ ...ctx.record!.value, ...patch })] };
  },
});

/** Gives the tails file of a registry that is not published another location; its identifier follows from that. */
const locate = registryCommand({
  body: Type.Object({ tails_public_uri: Type.String({ pattern: '^https?://' }) }),
  from: ['generated'],
  step: (ctx, { body }) => ({
    work: [{ op: 'anoncreds/relocate', input: { registry: ctx.record!.id, location: body.tails_public_uri }, result: 'located' }],
  }),
});

/** Has the tails file served, and handed to the foreign server, once more. */
const upload: Step = {
  from: ['generated', ...ON_LEDGER],
  step: (ctx) => ({ work: [{ op: 'anoncreds/tails', input: { registry: ctx.record!.id }, result: 'uploaded' }] }),
};

/** It issues from now on; the one that did stands by. */
const activate = registryCommand({
  body: CredDef,
  from: ['posted', 'active'],
  load: ({ body }) => definitionOf(body.cred_def_id),
  pages: ({ body }) => usesOf(body.cred_def_id),
  step: (ctx) =>
    arranged(ctx, (own, others) => {
      if (own.record.state !== 'active') own.states = ['active'];
      const former = others.find(({ use }) => use === 'issuing');
      if (own.use === 'backup' || !others.some(({ use }) => use === 'backup')) {
        if (former) former.use = 'backup';
      } else if (former) former.use = 'none';
      own.use = 'issuing';
    }),
});

/** A posted registry is taken into use as its definition needs it. */
const enter = registryCommand({
  body: CredDef,
  from: ['posted'],
  load: ({ body }) => definitionOf(body.cred_def_id),
  pages: ({ body }) => usesOf(body.cred_def_id),
  step: (ctx) => arranged(ctx, (own, others) => activates(own, others, false)),
});

/** A registry issues no more; a repetition has no second effect. */
const retire = registryCommand({
  body: Type.Object({ cred_def_id: Type.String(), state: Type.Union([Type.Literal('full'), Type.Literal('decommissioned')]) }),
  from: ['active'],
  load: ({ body }) => definitionOf(body.cred_def_id),
  pages: ({ body }) => usesOf(body.cred_def_id),
  step: (ctx, { body: { state } }) =>
    arranged(ctx, (own) => {
      own.states = [state];
      own.use = 'none';
    }),
});

/** The registry that stands by issues from now on; the one that did, and those that are full, are decommissioned. */
const rotate = registryCommand({
  body: CredDef,
  from: ON_LEDGER,
  load: ({ body }) => definitionOf(body.cred_def_id),
  pages: ({ body }) => ({ ...usesOf(body.cred_def_id), ...fullOf(body.cred_def_id) }),
  step: (ctx) =>
    arranged(ctx, (own, others) => {
      for (const one of [own, ...others])
        if (one.use === 'issuing' || one.record.state === 'full') {
          one.states = ['decommissioned'];
          one.use = 'none';
        }
    }),
});

/** The state that a controller sets. @throws AppError `bad-request` where that cannot be */
const setState = registryCommand({
  body: Type.Object({ cred_def_id: Type.String(), state: Type.String() }),
  from: revocationRegistry.states,
  load: ({ body }) => definitionOf(body.cred_def_id),
  pages: ({ body }) => usesOf(body.cred_def_id),
  step(ctx, { body: { state } }) {
    const now = ctx.record!.state!;
    if (state === now) return {};
    const published = ON_LEDGER.includes(now);
    if (ON_LEDGER.includes(state) !== published && state !== 'failed')
      throw new AppError(
        'bad-request',
        `The registry is ${published ? 'on the ledger' : 'not on the ledger'}: its state cannot be ${state}`,
      );
    return arranged(ctx, (own) => {
      own.states = [state];
      if (state !== 'active') own.use = 'none';
    });
  },
});

/** The result of `anoncreds/registry`. `later`: why its tails file is not served yet; nothing is written to the ledger before. */
export interface MadeRegistry {
  readonly id?: string;
  readonly definition?: JsonObject;
  readonly status?: RevocationStatus;
  readonly secret?: Uint8Array;
  readonly later?: string;
  readonly cred_def_id: string;
}

const made: ResultStep<RevocationRegistryValue> = {
  from: ['init'],
  load: ({ cred_def_id }) => definitionOf(String(cred_def_id)),
  step(ctx, { id, definition, status, secret, later }: MadeRegistry) {
    const own = ctx.record!;
    if (later !== undefined)
      return {
        record: { patch: { error_msg: later, failures: (own.value.failures ?? 0) + 1 } },
        others: unready(ctx, later),
        keys: secret && [{ kid: `rev-reg:${own.id}`, type: 'rev-reg', secret }],
        next: [makeOf(own.id, delay(own.value.failures))],
      };
    const patch = { rev_reg_id: id!, definition: definition!, status: status!, error_msg: undefined, failures: undefined };
    return {
      record: { states: ['generated'], patch },
      keys: [{ kid: `rev-reg:${id}`, type: 'rev-reg', secret: secret! }],
      removedKeys: [`rev-reg:${own.id}`],
      ledger: own.value.manual ? [] : [putOrder({ ...own.value, ...patch })],
    };
  },
};

/** The definition shows why it has no registry, and whoever waits for one is answered. */
function unready({ loaded: { definition: row } }: RegistryContext, reason: string): Change[] {
  const base = row && loadedRecord<CredentialDefinitionValue>(row);
  if (!base || base.value.registry_until === undefined) return [];
  return [changed({ def: credentialDefinitionRecord, base, patch: { registry_until: undefined, revocation_reason: reason } })];
}

const located: ResultStep<RevocationRegistryValue> = {
  from: ['generated'],
  step(ctx, { id, definition, secret }: Required<Pick<MadeRegistry, 'id' | 'definition' | 'secret'>>) {
    const { rev_reg_id: before, former_ids = [] } = ctx.record!.value;
    if (id === before) return {};
    return {
      record: { patch: { rev_reg_id: id, definition, former_ids: [...former_ids, before!] } },
      keys: [{ kid: `rev-reg:${id}`, type: 'rev-reg', secret }],
      removedKeys: [`rev-reg:${before}`],
    };
  },
};

/** It is on the ledger. A registry that its controller does not take further becomes active. */
const written: ResultStep<RevocationRegistryValue> = {
  from: ['generated'],
  load: ({ write }) => definitionOf(credDefOf(write)),
  pages: ({ write }) => usesOf(credDefOf(write)),
  step(ctx) {
    const { manual, spare } = ctx.record!.value;
    if (manual) return { record: { states: ['posted'], patch: { error_msg: undefined } } };
    return arranged(ctx, (own, others) => activates(own, others, spare === true));
  },
};

const credDefOf = (write: unknown): string => String((write as Extract<LedgerWrite, { kind: 'registry-put' }>).object.credDefId);

const delay = (failures = 0): number => Math.min(AGAIN_MS * 2 ** failures, SELDOM_MS);

function failed(ctx: RegistryContext, failure: { result: string; code: string; text: string }): Effects {
  const { id, value } = ctx.record!;
  const { result, text } = failure;
  if (PUBLISHING.includes(result)) return unpublished(ctx, failure);
  if (result !== 'made' && result !== 'written') return { record: { patch: { error_msg: text } } };
  // the next step depends on the call that ordered it; one that follows from its definition is made in the end
  if (value.manual || value.spare) return { record: { states: ['failed'], patch: { error_msg: text } } };
  return {
    record: { patch: { error_msg: text, failures: (value.failures ?? 0) + 1 } },
    next: [makeOf(id, delay(value.failures))],
  };
}

/**
 * Revocation registries: made as work and written to the ledger as soon as their tails file is served, used by turns, and published to. Indices are taken by the
 * store where a credential is issued, and no record of here changes then.
 */
export const revocationRegistries = defineProtocol<RevocationRegistryValue>({
  name: 'revocation-registry',
  uris: [],
  binds: revocationRegistry,
  messages: {},
  commands: { create, make, post, locate, upload, activate, enter, retire, rotate, 'set-state': setState, ...publishingCommands },
  results: {
    made,
    located,
    uploaded: { from: '*', step: () => ({}) },
    written,
    ...publishingResults,
  },
  failed,
});
