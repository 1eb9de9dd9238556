import { AppError, asAppError } from '../errors.ts';
import type { Calls } from '../kernel/calls.ts';
import type { Kernel } from '../kernel/context.ts';
import { ENDORSEMENT, type EndorserMetadata, type Returned } from '../kernel/endorsement.ts';
import { backoff, type JobOutcome } from '../kernel/job-outcome.ts';
import type { LedgerEnd } from '../kernel/job-steps.ts';
import { commandJob, payloadOf } from '../kernel/jobs.ts';
import { jsonOf } from '../kernel/json.ts';
import type { Json, JsonObject } from '../ports/json.ts';
import type { Ledger, LedgerKeys, LedgerSigner, SignedWrite } from '../ports/ledger.ts';
import type { ClaimedJob, JobWrite, StoredRecord } from '../ports/store.ts';

const CAP_MS = 30_000;

/** The ledger worker's part in a write that another agent pays for. */
export interface EndorsedWrites {
  /** Whether the write of a job is one of these. */
  isEndorsed(job: ClaimedJob): Promise<boolean>;
  /** Hands a write to its endorsement, or makes the signed group of one that is endorsed. */
  signedGroup(job: ClaimedJob, lease: string, keys: LedgerKeys): Promise<{ signed: SignedWrite } | JobOutcome>;
  /** Hands a write back to its endorsement, whose group has not landed, or was one of several. */
  returned(job: ClaimedJob, lease: string, because: Returned, text: string, rest: LedgerEnd): Promise<JobOutcome>;
  /** Rows and jobs that hand the end of a write to its endorsement; none for a write without one. */
  settling(job: ClaimedJob, result: { txid?: string; round?: number } | AppError): readonly JobWrite[];
}

/** The means of endorsed writes. */
export interface EndorsedWritesOptions {
  readonly kernel: Kernel;
  readonly calls: Calls;
  readonly ledger: () => Ledger;
  readonly sign: (tenant: string) => LedgerSigner;
  /** The keys of a wallet that may sign for a DID beside its own. */
  readonly keysOf: (tenant: string, did: string) => Promise<LedgerKeys>;
  /** Connects an author with its endorser, where it has an invitation. */
  readonly connect: (tenant: string) => void;
  /** Ends a job, with its result or its failure. */
  readonly finish: (job: ClaimedJob, lease: string, result: { round?: number } | AppError) => Promise<JobOutcome>;
}

export function createEndorsedWrites({ kernel, calls, ledger, sign, keysOf, connect, finish }: EndorsedWritesOptions): EndorsedWrites {
  const { store } = kernel.db;

  /** The connection with the endorser of a write. @throws AppError `forbidden`, `not-found` in ACA-Py's words */
  async function endorserOf(job: ClaimedJob): Promise<string> {
    const { alias, invitation } = (await kernel.profiles.of(job.tenant)).settings.endorsement;
    const named = payloadOf('ledger', job).endorser?.connection;
    if (!named && alias === undefined) throw new AppError('forbidden', 'No endorser connection found');
    const [rows = []] = await store.load(job.tenant, [
      named ? { category: 'connection', id: named } : { category: 'connection', tag: 'alias', equals: alias! },
    ]);
    const found = rows.find(({ state }) => state === 'active') ?? rows[0];
    const { endorser_info: info } = (found?.value.metadata ?? {}) as EndorserMetadata;
    if (!named && invitation !== undefined && !(found?.state === 'active' && info)) {
      connect(job.tenant);
      throw new AppError('ledger-waiting', 'the endorser is not connected yet');
    }
    if (!found && named) throw new AppError('not-found', `Connection for endorser with id ${named} not found`);
    if (!found) throw new AppError('forbidden', 'No endorser connection found');
    const place = 'in connection metadata for this connection record';
    if (!info) throw new AppError('forbidden', `Endorser Info is not set up ${place}`);
    if (!info.endorser_did) throw new AppError('forbidden', `"endorser_did" is not set in "endorser_info" ${place}`);
    return found.id;
  }

  const handOver = async (
    job: ClaimedJob,
    lease: string,
    to: { command: string; transaction: string; connection?: string; input: Record<string, Json | undefined>; failure?: AppError },
    rest?: LedgerEnd,
  ): Promise<JobOutcome> => {
    const { command, transaction, connection, input, failure } = to;
    await calls.ledgerHandOver(
      job,
      lease,
      {
        ...{ protocol: ENDORSEMENT.protocol, command, connection, input: input as JsonObject },
        record: { category: ENDORSEMENT.category, id: transaction },
        failure: failure && { code: failure.code, text: failure.message },
      },
      rest,
    );
    return { state: 'committed' };
  };

  async function begin(job: ClaimedJob, lease: string, request: Json): Promise<JobOutcome> {
    const { protocol, category, id, result, verkey, write } = payloadOf('ledger', job);
    let connection: string;
    try {
      connection = await endorserOf(job);
    } catch (thrown) {
      const error = asAppError(thrown);
      if (job.callId !== undefined || error.row.retry) throw error;
      // nobody is there to be refused: what this agent does by itself waits for its endorser
      await calls.ledgerWaits(job, error.message);
      return { state: 'retry', at: backoff(job.attempts, CAP_MS), error: error.message };
    }
    const order = jsonOf({ protocol, category, id, result, verkey, write });
    return await handOver(job, lease, { command: 'begin', transaction: job.id, connection, input: { id: job.id, order, request } });
  }

  const returned: EndorsedWrites['returned'] = async (job, lease, because, text, rest) => {
    const transaction = payloadOf('ledger', job).endorsement!.transaction;
    if (because === 'invalid') {
      const failure = new AppError('ledger-rejected', `the endorser's group was not signed: ${text}`);
      return await handOver(job, lease, { command: 'returned', transaction, input: { because, text }, failure }, rest);
    }
    // on what the ledger holds now, which may be the whole of it
    const { write } = payloadOf('ledger', job);
    const now = await ledger().endorsement.request(write, await keysOf(job.tenant, write.did));
    if (now.state === 'done') return await finish(job, lease, {});
    return await handOver(job, lease, { command: 'returned', transaction, input: { because, text, request: now.request as never } }, rest);
  };

  return {
    async isEndorsed(job) {
      const { endorser, endorsement, write } = payloadOf('ledger', job);
      // nobody else pays for a change of who has authority over a DID
      if (write.kind === 'did-rekey') return false;
      return (
        endorser !== undefined || endorsement !== undefined || (await kernel.profiles.of(job.tenant)).settings.endorsement.role === 'author'
      );
    },

    async signedGroup(job, lease, keys) {
      const { write, endorsement } = payloadOf('ledger', job);
      if (!endorsement) {
        const asked = await ledger().endorsement.request(write, keys);
        return asked.state === 'done' ? await finish(job, lease, {}) : await begin(job, lease, asked.request as never);
      }
      if (!endorsement.group) return await returned(job, lease, 'overtaken', 'the ledger has moved on', {});
      const checked = await ledger().endorsement.check(write, endorsement.group, keys);
      if (checked.state === 'done') return await finish(job, lease, {});
      if (checked.state === 'expired') return await returned(job, lease, 'expired', 'expired', {});
      if (checked.state === 'refused') return await returned(job, lease, 'invalid', checked.detail, {});
      const { signed } = await ledger().sign(checked.planned, { account: sign(job.tenant), keys });
      if (signed === undefined) throw new AppError('internal', 'a part of the group has no signer');
      return { signed };
    },

    returned,

    settling(job, result) {
      const { endorsement, answer, write } = payloadOf('ledger', job);
      if (!endorsement) return [];
      const input: JsonObject =
        result instanceof AppError
          ? { error: result.message }
          : { ledger_response: JSON.parse(JSON.stringify({ ...result, id: 'id' in write ? write.id : write.did })) };
      const { protocol, category } = ENDORSEMENT;
      return [
        commandJob(
          job.tenant,
          { protocol, command: 'settle', category, id: endorsement.transaction, input, answer },
          job.callId,
          undefined,
        ),
      ];
    },
  };
}

/** The row of a write, as what goes with the end of its job. */
export const rowDeleted = (row: StoredRecord | undefined): LedgerEnd => ({
  deletes: row ? [{ category: row.category, id: row.id, expect: row.version }] : [],
});
