import { isDeepStrictEqual } from 'node:util';
import type { Static } from 'typebox';
import { AppError } from '../../errors.ts';
import { DECISIONS } from '../../kernel/consulting.ts';
import type { NextCommand } from '../../kernel/effects.ts';
import { changed, type StepContext } from '../../kernel/protocol.ts';
import type { LoadedRecord } from '../../kernel/record.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type DecisionValue, decision, type Vote } from '../../records/decision.ts';
import type { Done } from './operation.ts';
import type { DecisionBody } from './schemas.ts';

type Decision = LoadedRecord<DecisionValue>;

/** The command that a decision runs, on the record that it is about. No call waits for it. */
export function ordered({ value }: Decision, action: 'accept' | 'reject', values?: JsonObject): NextCommand {
  const { protocol, ...record } = value.subject;
  const common = { protocol, record, after: 0 };
  if (action === 'reject') return { ...common, command: value.reject.command, input: { ...value.reject.input, ...values } };
  return values ? { ...common, command: value.replace ?? value.accept, input: values } : { ...common, command: value.accept };
}

const DAY_MS = 24 * 3600_000;
const KEPT_DAYS = 90;

/** Removes a finished decision when its time as a record is up. */
export function forgetting({ settings }: Pick<StepContext, 'settings'>, id: string): NextCommand[] {
  const { decisionDays = KEPT_DAYS } = settings;
  if (decisionDays === 0) return [];
  return [{ protocol: DECISIONS, record: { category: decision.category, id }, command: 'forget', after: decisionDays * DAY_MS }];
}

const isSame = (one: Vote, other: Pick<Vote, 'action' | 'values'>): boolean =>
  one.action === other.action && isDeepStrictEqual(one.values, other.values);

/**
 * An answer to a decision. The same answer of the same decider changes nothing, whenever it comes.
 * @throws AppError `not-found`, `forbidden` for another connection than the approvers', `wrong-state` after the decision or its deadline, `unprocessable` for values that the command
 * does not take
 */
export function decide(ctx: StepContext, { action, values }: Static<typeof DecisionBody>, by: string): Done {
  const found = decision.of(ctx.loaded.decision);
  if (!found) throw new AppError('not-found', 'There is no such decision');
  const { value, state } = found;
  const { votes = [], approvers } = value;
  const vote: Vote = { by, action, ...(values && { values: values as JsonObject }), at: ctx.now };
  const done = (after: Decision = found): JsonObject => decision.view(after);
  if (by.startsWith('connection ') && approvers.length > 0 && !approvers.some((one) => by === `connection ${one}`))
    throw new AppError('forbidden', 'This decision is asked of others');
  if (votes.some((one) => one.by === by && isSame(one, vote))) return { answer: done() };
  if (state !== 'asked' && state !== 'held') throw new AppError('wrong-state', `The decision is ${state} already`);
  if (state === 'asked' && ctx.now >= value.deadline) throw new AppError('wrong-state', 'The deadline of the decision has passed');
  checkValues(ctx, value, vote);
  // a decider who changes the answer has one answer
  const all = [...votes.filter((one) => one.by !== by), vote];
  const agreed = all.filter((one) => isSame(one, vote)).length >= value.approvals;
  const next = action === 'reject' ? 'rejected' : action === 'hold' ? 'held' : agreed ? 'accepted' : undefined;
  const states = next === undefined || next === state ? undefined : [next];
  const change = { def: decision, base: found, ...(states && { states }), patch: { votes: all } };
  const after: Decision = { ...found, state: next ?? state, updated: ctx.now, value: { ...value, votes: all } };
  const orders =
    next === 'accepted' || next === 'rejected'
      ? [ordered(found, next === 'accepted' ? 'accept' : 'reject', vote.values), ...forgetting(ctx, found.id)]
      : [];
  return { others: [changed(change)], next: orders, answer: done(after) };
}

/** @throws AppError `unprocessable` */
function checkValues(ctx: StepContext, value: DecisionValue, { action, values }: Vote): void {
  if ((action === 'replace') !== (values !== undefined) && action !== 'reject')
    throw new AppError('unprocessable', 'values go with the action replace, or with reject');
  if (action === 'reject' && !values) return;
  if (values === undefined) return;
  const command = action === 'reject' ? value.reject.command : (value.replace ?? value.accept);
  const fault = ctx.declared.inputFault(
    value.subject.protocol,
    command,
    action === 'reject' ? { ...value.reject.input, ...values } : values,
  );
  if (fault !== undefined) throw new AppError('unprocessable', `values: ${fault}`);
}
