import type { IncomingMessage } from 'node:http';
import { AppError } from '../errors.ts';
import { createAudit, isAudited } from './audit.ts';
import type { Caller } from './auth.ts';
import type { Sent } from './face.ts';
import { inputOf, type Operation } from './operations.ts';
import { recordWaits, untilChanged } from './polling.ts';
import type { Admin, Answer } from './route.ts';
import { tokenUse } from './token-use.ts';

export interface PerformOptions {
  /** Whether nobody needs a key. */
  readonly insecure: boolean;
  /** Whether calls are written into the audit trail. */
  readonly audits: boolean;
  /** The source of a request. */
  nameOf(request: IncomingMessage): string;
}

/** Runs operations for those who were admitted: the checks, the audit trail, the turns and the traces of every way to call. */
export function createPerform(admin: Admin, { audits, insecure, nameOf }: PerformOptions) {
  const authority = admin.authority();
  const audit = audits ? createAudit(admin, insecure) : undefined;
  const noteUse = tokenUse(admin);
  const waits = recordWaits(admin.kernel);

  /** Runs an operation for a caller who was admitted. @throws AppError */
  async function perform(op: Operation, caller: Caller, sent: Sent): Promise<Answer> {
    const { params, poll } = sent;
    const unless = poll?.unless;
    if (typeof sent.body !== 'object' || sent.body === null || Array.isArray(sent.body))
      throw new AppError('unprocessable', 'the body must be a JSON object');
    const { query, body } = inputOf(op, sent.query, sent.body);
    const key = typeof sent.idempotencyKey === 'string' ? sent.idempotencyKey.slice(0, 200) : undefined;
    noteUse(caller);
    const run = (parts: Admin): Promise<Answer> =>
      op.handle(parts, { ...caller, params, query, body, key, unless, tag: poll?.tag ?? noTag });
    const handle = (): Promise<Answer> =>
      audit && isAudited(op) ? audit.run(op, caller, nameOf(sent.request), readOf(params, query), run) : run(admin);
    // a body, a turn and the work itself take their time, in which a token may end
    const stillAdmitted = async (): Promise<void> => {
      if (!(await authority.holds(caller))) throw new AppError('unauthorized', 'Authorization token missing or invalid');
    };
    const begin = async (): Promise<Answer> => {
      await stillAdmitted();
      return await handle();
    };
    // the operator's calls, and what a probe asks, wait for no tenant
    const { tenantLimiter } = admin.kernel;
    const inTurn = (): Promise<Answer> => (op.auth === 'tenant' && tenantLimiter ? tenantLimiter.run(caller.tenant, begin) : begin());
    // routes without a key are called all the time, and by anyone
    const once = (): Promise<Answer> => (op.auth === 'none' ? handle() : traced(admin, op, caller.tenant, sent.traceparent, inTurn));
    // who waits holds no turn meanwhile
    const record = op.watches !== undefined && unless !== undefined && Number(query.wait ?? 0) > 0 ? params[op.watches] : undefined;
    const wait = record === undefined ? undefined : waits.begin(caller.tenant, record, Number(query.wait) * 1000, poll!.left());
    const answer = await untilChanged(once, wait);
    if (!op.endsToken) await stillAdmitted();
    return answer;
  }

  return { perform, close: () => waits.close() };
}

/** A call as one of its tenant's, within the controller's own trace where a header names it. The path is the pattern, without the values in it. */
function traced(admin: Admin, op: Operation, tenant: string, parent: unknown, handle: () => Promise<Answer>): Promise<Answer> {
  const { count, trace } = admin.kernel;
  count('admin_calls', tenant);
  const attributes = { 'http.request.method': op.method, 'http.route': op.path, 'flexid.tenant': tenant };
  return trace.span(`${op.method} ${op.path}`, attributes, handle, {
    kind: 'server',
    parent: typeof parent === 'string' ? parent : undefined,
  });
}

const noTag = (): void => undefined;
/** What a call reads, as a text. */
const readOf = (params: object, query: object): string => JSON.stringify([params, query]);
