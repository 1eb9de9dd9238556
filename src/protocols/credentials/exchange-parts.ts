import type { Facts } from '../../kernel/decisions.ts';
import type { ByFormat } from '../../kernel/format-attachments.ts';
import { checkedAs } from '../../kernel/json.ts';
import { problemText } from '../../kernel/message.ts';
import { type CommandStep, command, type MessageStep } from '../../kernel/protocol.ts';
import type { RecordDef, RecordValue } from '../../kernel/record.ts';
import Type from '../../kernel/type.ts';

/** Common parts of exchanges of credentials and of presentations. */

export const Text = Type.Optional(Type.Union([Type.String(), Type.Null()]));
export const Flag = Type.Optional(Type.Boolean());
/** Members of every body that begins an exchange. */
export const FLAGS = { auto_remove: Flag, auto_remove_on_failure: Flag, trace: Flag, comment: Text };

export type Removal = { readonly auto_remove?: boolean; readonly auto_remove_on_failure?: boolean };

/** Whether the record is removed at its end, where a call has the member. */
export const removal = ({ auto_remove, auto_remove_on_failure }: Removal): Removal => ({
  ...(auto_remove !== undefined && { auto_remove }),
  ...(auto_remove_on_failure !== undefined && { auto_remove_on_failure }),
});

/** The credential definition that an offer names. */
export const definitionOffered = (offers: ByFormat): string | undefined =>
  Object.values(offers)
    .map((offer) => offer?.cred_def_id)
    .find((id) => typeof id === 'string');

/** The issuers of an offer's credentials, in each of its formats: the owner of an AnonCreds object stands before its id's first slash, in Indy's ids before the first colon. */
export function offeredBy(offers: ByFormat): Facts {
  const ids = Object.values(offers).map((offer) => (typeof offer?.cred_def_id === 'string' ? offer.cred_def_id : ''));
  return { credential_definitions: ids, issuers: ids.map((id) => id.split(id.startsWith('did:') ? '/' : ':')[0]!) };
}

/** How an exchange is abandoned before its end: by the peer's problem report, or by the controller's, under `code` (RFC 0035). */
export function abandonment<V extends RecordValue>(
  { path, tag, record }: { readonly path: string; readonly tag: string; readonly record: RecordDef<V> },
  { param, what, code, ends }: { readonly param: string; readonly what: string; readonly code: string; readonly ends: readonly string[] },
): { readonly problem: MessageStep<V>; readonly reportProblem: CommandStep<V> } {
  const before = (...states: string[]): string[] => record.states.filter((one) => ![...ends, ...states, 'deleted'].includes(one));
  const abandoned = (error_msg: string) => ({ states: ['abandoned'], patch: checkedAs<Partial<V>>({ error_msg }) });
  return {
    problem: {
      schema: Type.Object({}),
      from: before('abandoned'),
      step: (_ctx, message) => ({ record: abandoned(problemText(message)) }),
    },
    reportProblem: command({
      route: `POST ${path}/records/{${param}}/problem-report`,
      tag,
      summary: `Send a problem report for ${what} exchange`,
      body: Type.Object({ description: Type.String({ minLength: 1 }) }),
      from: before(),
      step: (ctx, { body }) => ({
        record: abandoned(`created problem report: ${body.description}`),
        problem: ctx.reachable ? { code, text: body.description } : undefined,
        answer: {},
      }),
    }),
  };
}
