import { AppError } from '../../errors.ts';
import type { Change } from '../../kernel/effects.ts';
import { type AUTHOR, ENDORSER, type EndorserMetadata } from '../../kernel/endorsement.ts';
import { changed, type StepContext } from '../../kernel/protocol.ts';
import type { LoadedRecord } from '../../kernel/record.ts';
import { type ConnectionValue, connection } from '../../records/connection.ts';

type Jobs = NonNullable<EndorserMetadata['transaction_jobs']>;

/** The roles of the two sides of a connection. An endorser by its flags is one on every connection whose role nobody has set. */
export function jobsOf({ connection: row, settings }: StepContext): Jobs {
  const { transaction_jobs: jobs } = (row?.value.metadata ?? {}) as EndorserMetadata;
  const implied = settings.endorsement.role === 'endorser' && jobs?.transaction_my_job === undefined;
  return implied ? { ...jobs, transaction_my_job: ENDORSER } : (jobs ?? {});
}

/** The connection with changed metadata. */
export const withMetadata = (ctx: StepContext, patch: EndorserMetadata): Change =>
  changed<ConnectionValue>({
    def: connection,
    base: ctx.connection as LoadedRecord<ConnectionValue>,
    patch: { metadata: { ...(ctx.connection?.value.metadata as object | undefined), ...patch } },
    silent: true,
  });

const UNSET = 'connection metadata for this connection record';

/**
 * Holds a call to a role of this side.
 * @param only ACA-Py's words for a call of the other side
 * @throws AppError `forbidden`
 */
export function requireJob(ctx: StepContext, job: typeof AUTHOR | typeof ENDORSER, only: string): void {
  const jobs = jobsOf(ctx);
  if (jobs.transaction_my_job === undefined && jobs.transaction_their_job === undefined)
    throw new AppError('forbidden', `The transaction related jobs are not set up in ${UNSET}`);
  if (jobs.transaction_my_job === undefined)
    throw new AppError('forbidden', `The "transaction_my_job" is not set in "transaction_jobs" in ${UNSET}`);
  if (jobs.transaction_my_job !== job) throw new AppError('forbidden', only);
}

/** @throws AppError `forbidden` unless the other side has the role of an endorser */
export function requireEndorser(ctx: StepContext): void {
  const { transaction_their_job: theirs } = jobsOf(ctx);
  if (theirs === undefined)
    throw new AppError(
      'forbidden',
      'Ask the other agent to set up "transaction_my_job" in "transaction_jobs" in connection metadata for their connection record',
    );
  if (theirs !== ENDORSER) throw new AppError('forbidden', 'A request can only be created to a TRANSACTION_ENDORSER');
}
