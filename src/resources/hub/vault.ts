import type { Static } from 'typebox';
import { toBase58 } from '../../didcomm/encoding.ts';
import { AppError } from '../../errors.ts';
import type { Change, Effects, NextCommand } from '../../kernel/effects.ts';
import { changed, command, defineProtocol, type Load, NEW, type Pages, type StepContext } from '../../kernel/protocol.ts';
import Type from '../../kernel/type.ts';
import { configOf, type EdvValue, edv, vaultUrl } from '../../records/edv.ts';
import { chunkId, type EdvChunkValue, edvChunk } from '../../records/edv-chunk.ts';
import { documentId, type EdvDocumentValue, type EncryptedDocument, edvDocument, uniqueTag } from '../../records/edv-document.ts';
import { byTag, type EdvRevocationValue, edvRevocation, revocationId } from '../../records/edv-revocation.ts';
import { type HubControllerValue, hubController } from '../../records/hub-controller.ts';
import { Config, Did, Document, EdvId, IndexEntry } from './shapes.ts';

/** Controllers of revoked capabilities that one vault remembers. */
const MAX_ENDED = 100;
/** Revocations that one vault remembers: of the controller's grants, and of what each grantee has delegated on. */
const MAX_REVOCATIONS = 10_000;
/** The time that a revocation outlives its capability, since clocks differ. */
const AFTER_END_MS = 24 * 3600_000;
/** Chunks that one commit removes. */
const PRUNED = 200;
const Bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

type Ctx = StepContext<EdvValue>;

/** A vault's new id: 128 random bits as multibase, with the two bytes before them that clients expect. */
const newVaultId = (ctx: Ctx): string => `z${toBase58(Uint8Array.of(0, 16, ...Buffer.from(ctx.newToken(), 'hex')))}`;

const idOf = (ctx: StepContext): string => ctx.record!.id;

/** The vault after a write. @throws AppError `vault-full` */
function used(ctx: Ctx, bytes: number, documents = 0): NonNullable<Effects['record']> {
  const { value } = ctx.record!;
  const total = value.bytes + bytes;
  if (bytes > 0 && total > value.quota) throw new AppError('vault-full');
  return { patch: { bytes: Math.max(0, total), documents: value.documents + documents } };
}

/** No call waits for it. */
const pruning = (document: string): NextCommand => ({ command: 'prune', input: { document }, after: 0 });

const sizeOf = (document: object): number => Buffer.byteLength(JSON.stringify(document));

/** Lookups of other documents that have a unique attribute of this one. */
function uniques(vault: string, document: Pick<EncryptedDocument, 'id' | 'indexed'>): Record<string, Load> {
  const own = documentId(vault, document.id);
  const attributes = (document.indexed ?? []).flatMap(({ hmac, attributes }) => attributes.map((one) => ({ hmac, ...one })));
  const loads = attributes
    .filter(({ unique }) => unique)
    .map(({ hmac, name, value }, i): [string, Load] => {
      const tag = uniqueTag(vault, hmac.id, name);
      return [`unique ${i}`, { category: edvDocument.category, tag, equals: value, among: ({ id }) => id !== own }];
    });
  return Object.fromEntries(loads);
}

const storedOf = (vault: string, id: string): Record<string, Load> => ({
  stored: { category: edvDocument.category, id: documentId(vault, id) },
});

/** The vault and a document of it after a write. @throws AppError `not-current` for a unique attribute that another document has, `vault-full` */
function written(ctx: Ctx, document: EncryptedDocument, next: readonly NextCommand[] = []): Effects {
  const stored = edvDocument.of(ctx.loaded.stored as never);
  if (Object.entries(ctx.loaded).some(([name, row]) => name.startsWith('unique') && row)) throw new AppError('not-current');
  const vault = idOf(ctx);
  const size = sizeOf(document);
  const change: Change<EdvDocumentValue> = {
    def: edvDocument,
    base: stored,
    id: documentId(vault, document.id),
    states: ['stored'],
    patch: { vault, document, size },
  };
  return {
    record: used(ctx, size - (stored?.value.size ?? 0), stored ? 0 : 1),
    others: [changed(change)],
    next,
    answer: {},
  };
}

/** A new vault of a controller, whose record counts it. */
function created(ctx: Ctx, config: Static<typeof Config>, quota: number, controller: Change<HubControllerValue>): Effects {
  if (config.sequence !== 0) throw new AppError('bad-request', 'the sequence of a new vault is 0');
  if (ctx.loaded.same) throw new AppError('not-current', 'The controller has a vault of this referenceId');
  if (ctx.pages.vaults!.total >= hubOf(ctx).vaults)
    throw new AppError('vault-full', 'The wallet has as many vaults as it may (--hub-vaults)');
  const { referenceId, keyAgreementKey, hmac } = config;
  const value: EdvValue = { controller: config.controller, referenceId, keyAgreementKey, hmac, sequence: 0, quota, bytes: 0, documents: 0 };
  const id = newVaultId(ctx);
  return {
    record: { id, states: ['active'], patch: value },
    others: [changed(controller)],
    answer: configOf(vaultUrl(hubOf(ctx).endpoint, ctx.tenant, id), value),
  };
}

const loadsOf = ({ controller, referenceId }: Static<typeof Config>): Record<string, Load> => ({
  owner: { category: hubController.category, id: controller },
  ...(referenceId === undefined ? {} : { same: { category: edv.category, tag: 'reference', equals: `${controller} ${referenceId}` } }),
});

/** All vaults of the wallet. */
const vaultsOf = (): Pages => ({ vaults: { category: edv.category, query: { limit: 1 } } });

/** The quota of a new vault. @throws AppError `bad-request` for more than the hub gives */
function quotaOf(ctx: StepContext, given: number | undefined): number | undefined {
  if (given === undefined || given <= hubOf(ctx).quota) return given;
  throw new AppError('bad-request', `quota_bytes: a vault has at most ${hubOf(ctx).quota} here (--hub-quota)`);
}

function hubOf(ctx: StepContext): NonNullable<StepContext['settings']['hub']> {
  if (!ctx.settings.hub) throw new AppError('not-implemented', 'This agent is no hub: start it with --hub');
  return ctx.settings.hub;
}

/**
 * Vaults of encrypted documents. The public routes (`routes.ts`) check rights; these commands keep sequences, quotas and unique attributes. A vault's record is
 * written with each of its documents, so that two writes at once are one after the other.
 */
export const hubVaults = defineProtocol<EdvValue>({
  name: 'hub-vault',
  uris: [],
  binds: edv,
  messages: {},
  commands: {
    create: command({
      route: 'POST /hub/vaults',
      tag: 'hub',
      summary: 'Create a vault for encrypted documents of a controller',
      status: 201,
      body: Type.Object({ ...Config.properties, quota_bytes: Type.Optional(Bytes) }),
      from: [NEW],
      load: ({ body }) => loadsOf(body),
      pages: vaultsOf,
      step(ctx, { body }) {
        const quota = quotaOf(ctx, body.quota_bytes) ?? hubOf(ctx).quota;
        const owner = hubController.of(ctx.loaded.owner as never);
        const { controller } = body;
        const before = owner?.value ?? { controller, allowed: 0, made: 0, quota };
        const change = {
          def: hubController,
          base: owner,
          id: controller,
          states: ['registered'],
          patch: { ...before, made: before.made + 1 },
        };
        return created(ctx, body, quota, change);
      },
    }),
    /** The same by the controller itself. */
    claim: command({
      body: Config,
      from: [NEW],
      load: ({ body }) => loadsOf(body),
      pages: vaultsOf,
      step(ctx, { body }) {
        const owner = hubController.of(ctx.loaded.owner as never);
        if (!owner || owner.value.made >= owner.value.allowed) throw new AppError('forbidden', 'the controller may have no more vaults');
        const { made, quota } = owner.value;
        return created(ctx, body, quota, { def: hubController, base: owner, patch: { made: made + 1 } });
      },
    }),
    configure: command({
      body: Config,
      from: ['active'],
      load: ({ body: { controller, referenceId } }, vault): Record<string, Load> =>
        referenceId === undefined
          ? {}
          : {
              same: {
                category: edv.category,
                tag: 'reference',
                equals: `${controller} ${referenceId}`,
                among: ({ id }) => id !== vault,
              },
            },
      step(ctx, { body }) {
        const { value } = ctx.record!;
        const { controller, referenceId, keyAgreementKey, hmac, sequence } = body;
        // a new controller takes the vault by its own write: a vault that it was given has no name among its own before, and by that write the name that it wants
        const handed_over = controller !== value.controller || undefined;
        if (!handed_over && ctx.loaded.same) throw new AppError('not-current', 'The controller has a vault of this referenceId');
        if (sequence !== value.sequence + 1 || (!value.handed_over && referenceId !== value.referenceId)) throw new AppError('not-current');
        return { record: { patch: { controller, handed_over, referenceId, keyAgreementKey, hmac, sequence } }, answer: {} };
      },
    }),
    insert: command({
      body: Type.Object({ document: Document }),
      from: ['active'],
      load: ({ body: { document } }, vault) => ({ ...storedOf(vault!, document.id), ...uniques(vault!, document as never) }),
      step(ctx, { body }) {
        if (ctx.loaded.stored || body.document.sequence !== 0) throw new AppError('not-current');
        return written(ctx, body.document as never);
      },
    }),
    /** A document that is not there is inserted with the sequence 0. */
    update: command({
      body: Type.Object({ document: Document }),
      from: ['active'],
      load: ({ body: { document } }, vault) => ({ ...storedOf(vault!, document.id), ...uniques(vault!, document as never) }),
      step(ctx, { body: { document } }) {
        const stored = edvDocument.of(ctx.loaded.stored as never);
        const expected = stored ? stored.value.document.sequence + 1 : 0;
        if (document.sequence !== expected) throw new AppError('not-current');
        // while a stream is on its way, nothing is known of its end
        const ends = stored?.value.document.stream && (!document.stream || document.stream.chunks !== undefined);
        return written(ctx, document as never, ends ? [pruning(document.id)] : []);
      },
    }),
    index: command({
      body: Type.Object({ document: EdvId, entry: IndexEntry }),
      from: ['active'],
      load: ({ body: { document, entry } }, vault) => ({
        ...storedOf(vault!, document),
        ...uniques(vault!, { id: document, indexed: [entry] }),
      }),
      step(ctx, { body: { entry } }) {
        const stored = edvDocument.of(ctx.loaded.stored as never);
        if (!stored) throw new AppError('not-found');
        const { document } = stored.value;
        if (entry.sequence !== document.sequence) throw new AppError('not-current');
        const others = (document.indexed ?? []).filter(({ hmac }) => hmac.id !== entry.hmac.id);
        return written(ctx, { ...document, indexed: [...others, entry] });
      },
    }),
    /** The large value `blob` is there already. `former`: the one that no record names any more. */
    chunk: command({
      body: Type.Object({ document: EdvId, index: Bytes, sequence: Bytes, size: Bytes, blob: Type.String() }),
      from: ['active'],
      load: ({ body: { document, index } }, vault) => ({
        ...storedOf(vault!, document),
        former: { category: edvChunk.category, id: chunkId(documentId(vault!, document), index) },
      }),
      step(ctx, { body: { document: id, index, sequence, size, blob } }) {
        const stored = edvDocument.of(ctx.loaded.stored as never);
        if (!stored) throw new AppError('not-found');
        if (!stored.value.document.stream || stored.value.document.sequence !== sequence) throw new AppError('not-current');
        const former = edvChunk.of(ctx.loaded.former as never);
        const vault = idOf(ctx);
        const change: Change<EdvChunkValue> = {
          def: edvChunk,
          base: former,
          id: chunkId(documentId(vault, id), index),
          states: ['stored'],
          patch: { document: documentId(vault, id), index, sequence, size, blob },
        };
        return {
          record: used(ctx, size - (former?.value.size ?? 0)),
          others: [changed(change)],
          answer: { blob, ...(former ? { former: former.value.blob } : {}) },
        };
      },
    }),
    /** Removes chunks behind the end of a document's stream. */
    prune: command({
      body: Type.Object({ document: EdvId }),
      from: ['active'],
      load: ({ body }, vault) => storedOf(vault!, body.document),
      pages: ({ body }, vault) => ({
        chunks: {
          category: edvChunk.category,
          query: { tags: { document: documentId(vault!, body.document) }, descending: true, limit: PRUNED },
        },
      }),
      step(ctx, { body }) {
        const stored = edvDocument.of(ctx.loaded.stored as never);
        const { stream } = stored?.value.document ?? {};
        if (stream && stream.chunks === undefined) return {};
        const kept = stream?.chunks ?? 0;
        const { rows, total } = ctx.pages.chunks!;
        const over = rows.map((row) => edvChunk.of(row)).filter(({ value }) => value.index >= kept);
        if (over.length === 0) return {};
        const more = over.length === rows.length && total > rows.length;
        return {
          record: used(ctx, -over.reduce((sum, { value }) => sum + value.size, 0)),
          others: over.map((base) => changed({ def: edvChunk, base, remove: true })),
          next: more ? [pruning(body.document)] : [],
        };
      },
    }),
    /** A controller has a right again: documents may be encrypted to its keys. */
    admit: command({
      body: Type.Object({ controller: Did }),
      from: ['active'],
      step(ctx, { body: { controller } }) {
        const { ended = [] } = ctx.record!.value;
        return ended.includes(controller) ? { record: { patch: { ended: ended.filter((one) => one !== controller) } } } : {};
      },
    }),
    /** `by`: the controller's grantee that it comes from, or the controller. */
    revoke: command({
      body: Type.Object({ capability: Type.String(), delegator: Did, controller: Did, expires: Bytes, by: Type.Optional(Did) }),
      from: ['active'],
      load: ({ body: { capability: id, delegator } }, vault) => ({
        known: { category: edvRevocation.category, id: revocationId(vault!, { id, delegator }) },
      }),
      pages: ({ body: { by, delegator } }, vault) => ({
        others: { category: edvRevocation.category, query: { tags: { by: byTag(vault!, by ?? delegator) }, limit: 1 } },
      }),
      step(ctx, { body }) {
        if (ctx.loaded.known) return {};
        if (ctx.pages.others!.total >= MAX_REVOCATIONS) throw new AppError('vault-full');
        return revoked(ctx.record!, body, ctx.now);
      },
    }),
  },
});

/** A revocation, with its trace in the vault, and the command that removes it when the capability is over. */
function revoked(
  vault: NonNullable<Ctx['record']>,
  capability: { capability: string; delegator: string; controller: string; expires: number; by?: string },
  now: number,
): Effects {
  const { delegator, controller, expires, by = delegator } = capability;
  const id = revocationId(vault.id, { id: capability.capability, delegator });
  const change: Change<EdvRevocationValue> = {
    def: edvRevocation,
    id,
    states: ['revoked'],
    patch: { vault: vault.id, capability: capability.capability, delegator, expires, by },
  };
  const { ended = [] } = vault.value;
  // the controller encrypts to its own grantees: what these delegate on leaves no trace, and displaces none
  const trace = delegator === vault.value.controller ? [...ended.filter((one) => one !== controller), controller].slice(-MAX_ENDED) : ended;
  return {
    record: { patch: { ended: trace } },
    others: [changed(change)],
    next: [
      {
        protocol: hubRevocations.name,
        record: { category: edvRevocation.category, id },
        command: 'forget',
        after: Math.max(0, expires - now) + AFTER_END_MS,
      },
    ],
  };
}

/** Revocations end with their capabilities. */
export const hubRevocations = defineProtocol<EdvRevocationValue>({
  name: 'hub-revocation',
  uris: [],
  binds: edvRevocation,
  messages: {},
  commands: { forget: { from: ['revoked'], step: () => ({ record: { remove: true } }) } },
});

/** Controllers that make vaults by themselves, beside those that the tenant makes. */
export const hubControllers = defineProtocol<HubControllerValue>({
  name: 'hub-controller',
  uris: [],
  binds: hubController,
  messages: {},
  commands: {
    register: command({
      route: 'POST /hub/controllers',
      tag: 'hub',
      summary: 'Let a controller make vaults by itself',
      body: Type.Object({
        controller: Did,
        vaults: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000 })),
        quota_bytes: Type.Optional(Bytes),
      }),
      from: [NEW, 'registered'],
      about: ({ body }) => ({ category: hubController.category, id: body.controller }),
      step(ctx, { body: { controller, vaults = 1, quota_bytes } }) {
        const quota = quotaOf(ctx, quota_bytes) ?? ctx.record?.value.quota ?? hubOf(ctx).quota;
        return {
          record: {
            id: controller,
            states: ['registered'],
            patch: { controller, allowed: vaults, quota, made: ctx.record?.value.made ?? 0 },
          },
        };
      },
    }),
  },
});
