import { createHash, createHmac } from 'node:crypto';
import { BoundedMap } from '../bounded-map.ts';
import { asAppError } from '../errors.ts';
import { type AuditedCall, auditRow } from '../kernel/audit.ts';
import { newId } from '../kernel/ids.ts';
import { sharedSecret } from '../kernel/shared-secret.ts';
import type { Caller } from './auth.ts';
import type { Operation } from './operations.ts';
import type { Admin, Answer } from './route.ts';

/** Under this name the secret of addresses is among the keys of the base wallet: sealed, and the same for every process. */
const SECRET = 'audit-secret';
/** What is shown of credentials and presentations; all other reads leave no row. */
const READS = /^\/(?:credentials?|issue-credential|issue-credential-2\.0|present-proof|present-proof-2\.0)(?:\/|$)/;
/** A caller that is asked to come later may come as often as it likes: rows of that would fill the store. */
const UNWRITTEN = [429, 503];

/** Within this time a caller that reads the same again has one row: controllers that poll would fill the store, and each poll would wait for its disk. */
const SAME_READ_MS = 60_000;
const MAX_READS_KNOWN = 10_000;

/** Whether calls of an operation are in the audit trail: whatever may change something, and reads of credentials and presentations. */
export const isAudited = ({ method, path, auth }: Pick<Operation, 'method' | 'path' | 'auth'>): boolean =>
  auth !== 'none' && (method !== 'GET' || READS.test(path));

/** The audit trail of the admin API. */
export interface Audit {
  /**
   * Runs a call that is audited: its row is in the commit of its command, or in one of its own where it changes nothing or is refused.
   * @param what what it reads, as a text
   * @throws what `run` throws
   */
  run(op: Operation, caller: Caller, address: string, what: string, run: (admin: Admin) => Promise<Answer>): Promise<Answer>;
}

/** @param insecure whether nobody needs a key */
export function createAudit(admin: Admin, insecure: boolean): Audit {
  const { kernel, base, calls } = admin;
  const { store } = kernel.db;
  let secret: Promise<Uint8Array> | undefined;
  const reads = new BoundedMap<string, number>(MAX_READS_KNOWN);

  async function hashed(address: string): Promise<string> {
    secret ??= sharedSecret(store, base, SECRET).catch((error: unknown) => {
      secret = undefined;
      throw error;
    });
    return createHmac('sha256', await secret)
      .update(address)
      .digest('base64url')
      .slice(0, 16);
  }

  const kindOf = ({ token }: Caller): AuditedCall['who']['kind'] => (token !== undefined ? 'token' : insecure ? 'anyone' : 'key');

  /** The admin API as one call sees it: its commands are committed with the call's row, where they are of the caller's own wallet. */
  const within = (audited: AuditedCall): Admin => ({
    ...admin,
    audited,
    calls: {
      ...calls,
      call: (tenant, protocol, command, given) =>
        calls.call(tenant, protocol, command, tenant === audited.tenant ? { ...given, audited } : given),
    },
  });

  return {
    async run(op, caller, address, what, run) {
      const { tenant, token, sub } = caller;
      // a hash, since what is read may be as long as a URL
      const named = [tenant, kindOf(caller), token, sub, address, op.operationId, what].join(' ');
      const read = op.method === 'GET' ? createHash('sha256').update(named).digest('base64') : undefined;
      if (read !== undefined && (reads.get(read) ?? 0) > kernel.now() - SAME_READ_MS) return await run(admin);
      const audited: AuditedCall = {
        call: newId(),
        tenant,
        operation: op.operationId,
        who: { kind: kindOf(caller), ...(token === undefined ? {} : { token }), ...(sub === undefined ? {} : { sub }) },
        address: await hashed(address),
        committed: false,
      };
      let answer: Answer;
      try {
        answer = await run(within(audited));
      } catch (thrown) {
        const { status } = asAppError(thrown).row;
        // the caller is to have the reason of the refusal, whatever becomes of the row
        if (!UNWRITTEN.includes(status))
          await store
            .commit(tenant, { records: [auditRow(audited, { outcome: 'refused', status })] })
            .catch((error: unknown) =>
              kernel.log.warn({ err: error, operation: op.operationId }, 'a refused call has no row in the audit trail'),
            );
        if (read !== undefined) reads.set(read, kernel.now());
        throw thrown;
      }
      // nothing is shown that has no row
      if (!audited.committed)
        await store.commit(tenant, { records: [auditRow(audited, { outcome: 'answered', status: op.status ?? 200 })] });
      if (read !== undefined) reads.set(read, kernel.now());
      return answer;
    },
  };
}
