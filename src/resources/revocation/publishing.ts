import { AppError } from '../../errors.ts';
import { revokedIn } from '../../formats/registry-index.ts';
import type { Change, Effects, NextCommand, WorkOrder } from '../../kernel/effects.ts';
import { Endorser } from '../../kernel/endorsement.ts';
import { changed, command, type Pages, type ResultStep } from '../../kernel/protocol.ts';
import { type LoadedRecord, loadedRecord } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';
import type { LedgerWrite, RevocationStatus } from '../../ports/ledger.ts';
import { type CredentialRevocationValue, credentialRevocation, credentialRevocationId } from '../../records/credential-revocation.ts';
import { type Due, type RevocationRegistryValue, revocationRegistry } from '../../records/revocation-registry.ts';
import { endorsementOf, isEndorsementOver } from '../../records/transaction.ts';
import type { RegistryContext } from './uses.ts';

/** States of registries that are on the ledger: credentials of all of them can be revoked. */
export const ON_LEDGER = ['posted', 'active', 'full', 'decommissioned'];
/** Rows that are looked at, and rows that one commit settles. */
const MANY = 10_000;
const SETTLED_AT_ONCE = 1000;
/** How often a publication reads the log again that another writer was quicker in. */
const MAX_TRIES = 5;
const DAY_MS = 24 * 3600_000;

const Indices = Type.Optional(Type.Array(Type.Integer({ minimum: 1 })));

const Cursor = Type.Optional(Type.String());

/** Credentials of a registry that are to be revoked, the oldest row first. */
const pendingOf = (registry: string | undefined, limit = MANY, cursor?: string): Pages => ({
  pending: { category: credentialRevocation.category, query: { tags: { pending: registry ?? '' }, limit, ...(cursor && { cursor }) } },
});

const own = (name: string, after?: number, input: NextCommand['input'] = {}): NextCommand => ({ command: name, input, after });

/** The union of two publications. */
function both(a: Due | undefined, b: Due): Due {
  if (a === undefined || b === 'all') return b;
  return a === 'all' ? a : [...new Set([...a, ...b])].sort((x, y) => x - y);
}

const sameDue = (a: Due | undefined, b: Due): boolean => JSON.stringify(a) === JSON.stringify(b);

const statusOrder = (registry: string, due: Due): WorkOrder => ({
  op: 'anoncreds/status',
  input: { registry, due: due as never },
  result: 'prepared',
});

/** The effects of a state of the log that the ledger has confirmed: whatever of it was pending is revoked, and its holders are notified. */
function settled(ctx: RegistryContext, status: RevocationStatus, ends: boolean, cursor?: string): Effects {
  const { rows, next: behind } = ctx.pages.pending!;
  const revoked = revokedIn(status);
  const confirmed = rows.map((row) => loadedRecord<CredentialRevocationValue>(row)).filter(({ value }) => revoked(value.index));
  const now = confirmed.slice(0, SETTLED_AT_ONCE);
  // the rows that one commit did not hold, then the rows behind them
  const rest = confirmed.length > now.length ? { cursor } : behind === undefined ? undefined : { cursor: behind };
  const { due } = ctx.record!.value;
  return {
    record: {
      patch: { status, ...(ends && { publishing: undefined, due: undefined, error_msg: undefined }) },
    },
    others: now.map((base): Change => changed({ def: credentialRevocation, base, states: ['revoked'], patch: { pending: undefined } })),
    next: [
      ...now.flatMap(announced),
      ...(rest ? [own('settle', 0, rest.cursor === undefined ? {} : { cursor: rest.cursor })] : []),
      ...(ends && due ? [own('publish', 0, due === 'all' ? {} : { indices: [...due] })] : []),
    ],
  };
}

/** Effects of a revocation: its exchange shows it, and its holder is notified. */
function announced({ value }: LoadedRecord<CredentialRevocationValue>): NextCommand[] {
  const exchange =
    value.cred_ex_version === '1'
      ? { protocol: 'issue-credential-1.0', category: 'credential_exchange_v10' }
      : { protocol: 'issue-credential-2.0', category: 'cred_ex_v20' };
  const { notice } = value.pending ?? {};
  const shown: NextCommand = {
    protocol: exchange.protocol,
    command: 'show-revoked',
    record: { category: exchange.category, id: value.cred_ex_id },
  };
  if (!notice) return [shown];
  const { connection, version, thread_id, comment } = notice;
  return [
    shown,
    {
      protocol: version === 'v1_0' ? 'revocation-notification-1.0' : 'revocation-notification-2.0',
      command: 'notify',
      record: { category: 'connection', id: connection },
      input: {
        rev_reg_id: value.rev_reg_id,
        cred_rev_id: String(value.index),
        ...(thread_id !== undefined && { thread_id }),
        ...(comment !== undefined && { comment }),
      },
    },
  ];
}

const revoke = command({
  body: Type.Object({
    index: Type.Integer(),
    publish: Type.Boolean(),
    endorser: Type.Optional(Endorser),
    notice: Type.Optional(
      Type.Object({
        connection: Type.String(),
        version: Type.Union([Type.Literal('v1_0'), Type.Literal('v2_0')]),
        thread_id: Type.Optional(Type.String()),
        comment: Type.Optional(Type.String()),
      }),
    ),
  }),
  from: ON_LEDGER,
  load: ({ body }, registry) => ({
    credential: { category: credentialRevocation.category, id: credentialRevocationId(registry!, body.index) },
  }),
  pages: (_input, registry) => pendingOf(registry, 1),
  step(ctx, { body: { index, publish: now, notice, endorser } }) {
    const { max_cred_num: size } = ctx.record!.value as RevocationRegistryValue;
    if (index < 1 || index >= size) throw new AppError('bad-request', `The registry has the indices 1 to ${size - 1}, and not ${index}`);
    if (!ctx.loaded.credential) throw new AppError('bad-request', `No credential was issued at index ${index} of the registry`);
    const base = loadedRecord<CredentialRevocationValue>(ctx.loaded.credential);
    if (base.state === 'revoked') return { answer: {} };
    const { revocationPublishInterval: interval } = ctx.settings;
    const first = ctx.pages.pending!.total === 0;
    // the call waits until its endorsement has begun, and for nothing that others publish
    const endorsed = endorser !== undefined || ctx.settings.endorsement.role === 'author';
    return {
      others: [changed({ def: credentialRevocation, base, patch: { pending: { notice: notice ?? base.value.pending?.notice } } })],
      next: now
        ? [own('publish', endorsed ? undefined : 0, endorser && { endorser })]
        : first && interval > 0
          ? [own('publish', interval * 1000)]
          : [],
      answer: {},
    };
  },
});

/**
 * Publishes what is pending, or what of it is named. While a publication is under way it waits for the end of that; one whose endorsement was refused or cancelled
 * has ended, and what it took goes along.
 */
const publish = command({
  body: Type.Object({ indices: Indices, endorser: Type.Optional(Endorser) }),
  from: ON_LEDGER,
  load: (_input, registry) => ({ endorsement: endorsementOf(revocationRegistry.category, registry!) }),
  step(ctx, { body: { indices, endorser } }) {
    const { value, id } = ctx.record as LoadedRecord<RevocationRegistryValue>;
    const { publishing } = value;
    const { endorsement } = ctx.loaded;
    const over = publishing && isEndorsementOver(endorsement) && endorsement?.id !== publishing.after ? endorsement : undefined;
    const named = both(value.due, indices ?? 'all');
    const asked = endorser && { endorser };
    if (value.publishing && !over) return sameDue(value.due, named) && !asked ? {} : { record: { patch: { due: named, ...asked } } };
    const due = both(publishing?.due, named);
    return {
      record: {
        patch: { publishing: { tries: 0, due, ...(over && { after: over.id }) }, due: undefined, error_msg: undefined, ...asked },
      },
      work: [statusOrder(id, due)],
    };
  },
});

/** Revocations that are taken back before they are published; those that a publication has in hand stay. */
const clear = command({
  body: Type.Object({ indices: Indices, cursor: Cursor }),
  from: ON_LEDGER,
  pages: ({ body }, registry) => pendingOf(registry, SETTLED_AT_ONCE, body.cursor),
  step(ctx, { body: { indices } }) {
    const { publishing } = ctx.record!.value as RevocationRegistryValue;
    const named = (due: Due | undefined, index: number): boolean => due === 'all' || (due?.includes(index) ?? false);
    const { rows, next } = ctx.pages.pending!;
    const taken = rows
      .map((row) => loadedRecord<CredentialRevocationValue>(row))
      .filter(({ value }) => named(indices ?? 'all', value.index) && !named(publishing?.due, value.index));
    return {
      // its version excludes a publication that begins at the same time
      record: { patch: {} },
      others: taken.map((base): Change => changed({ def: credentialRevocation, base, patch: { pending: undefined } })),
      next: next === undefined ? [] : [own('clear', undefined, { ...(indices && { indices: [...indices] }), cursor: next })],
      answer: {},
    };
  },
});

const Rest = Type.Object({ cursor: Cursor });

/** Goes on with what one commit did not hold. */
const settle = command<typeof Rest, RevocationRegistryValue>({
  body: Rest,
  from: ON_LEDGER,
  pages: ({ body }, registry) => pendingOf(registry, MANY, body.cursor),
  step(ctx, { body: { cursor } }) {
    const { status } = ctx.record!.value;
    return status ? settled(ctx, status, false, cursor) : {};
  },
});

/**
 * Makes wallet and ledger one: what the wallet has as revoked and the log has not is published, what the log has and the wallet has not is shown as revoked.
 */
const fix = command({
  body: Type.Object({ behind: Type.Array(Type.Integer()), ahead: Type.Array(Type.Integer()) }),
  from: ON_LEDGER,
  load: ({ body }, registry) =>
    Object.fromEntries(
      [...body.behind, ...body.ahead].map((index) => [
        String(index),
        { category: credentialRevocation.category, id: credentialRevocationId(registry!, index) },
      ]),
    ),
  step(ctx, { body: { behind, ahead } }) {
    const rows = (indices: readonly number[]) =>
      indices.flatMap((index) => ctx.loaded[String(index)] ?? []).map((row) => loadedRecord<CredentialRevocationValue>(row));
    return {
      others: [
        ...rows(behind).map((base): Change => changed({ def: credentialRevocation, base, patch: { pending: {} } })),
        ...rows(ahead).map(
          (base): Change => changed({ def: credentialRevocation, base, states: ['revoked'], patch: { pending: undefined } }),
        ),
      ],
      next: behind.length > 0 ? [own('publish', 0, { indices: [...behind] })] : [],
      answer: {},
    };
  },
});

/** The next record of the log, on what the ledger has. */
const prepared: ResultStep<RevocationRegistryValue> = {
  from: ON_LEDGER,
  pages: (_output, registry) => pendingOf(registry),
  step(ctx, { status, expected }: { status: RevocationStatus; expected?: number }) {
    // the ledger has all of it already
    if (expected === undefined) return settled(ctx, status, true);
    const { rev_reg_id, issuerId, verkey, endorser } = ctx.record!.value;
    return {
      ledger: [
        { write: { kind: 'status-append', id: rev_reg_id!, did: issuerId, expected, status }, verkey, result: 'published', endorser },
      ],
    };
  },
};

const published: ResultStep<RevocationRegistryValue> = {
  from: ON_LEDGER,
  pages: (_output, registry) => pendingOf(registry),
  step(ctx, { write }: { write: Extract<LedgerWrite, { kind: 'status-append' }> }) {
    const effects = settled(ctx, write.status, true);
    const { revocationHistoryDays: days } = ctx.settings;
    const { pruned = 0, issuerId, verkey, endorser } = ctx.record!.value;
    if (days === 0 || ctx.now - pruned < DAY_MS) return effects;
    const before = Math.floor((ctx.now - days * DAY_MS) / 1000);
    return {
      ...effects,
      record: { patch: { ...effects.record!.patch, pruned: ctx.now } },
      ledger: [{ write: { kind: 'status-prune', id: write.id, did: issuerId, before }, verkey, result: 'pruned', endorser }],
    };
  },
};

/** A publication that came to nothing: where another writer was quicker it is made anew on what that has written. */
export function unpublished(ctx: RegistryContext, { code, text }: { code: string; text: string }): Effects {
  const { publishing } = ctx.record!.value;
  if (code === 'status-overtaken' && publishing && publishing.tries + 1 < MAX_TRIES)
    return {
      record: { patch: { publishing: { ...publishing, tries: publishing.tries + 1 } } },
      work: [statusOrder(ctx.record!.id, publishing.due)],
    };
  const { due } = ctx.record!.value;
  return {
    record: { patch: { publishing: undefined, due: undefined, error_msg: text } },
    next: due ? [own('publish', 0, due === 'all' ? {} : { indices: [...due] })] : [],
  };
}

export const publishingCommands = { revoke, publish, clear, settle, fix };
export const publishingResults = {
  prepared,
  published,
  pruned: { from: ON_LEDGER, step: () => ({}) } as ResultStep<RevocationRegistryValue>,
};
export const PUBLISHING = ['prepared', 'published'];
