import { OWN_PREFIX } from '../../didcomm/message-types.ts';
import type { Effects } from '../../kernel/effects.ts';
import { composeMessage, problemText } from '../../kernel/message.ts';
import { mostOfConnection } from '../../kernel/most-of-connection.ts';
import { command, defineProtocol, NEW } from '../../kernel/protocol.ts';
import { AnyObject } from '../../kernel/schema.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import { type QuestionValue, question } from '../../records/question.ts';

/** Questions of one connection that wait for the owner. */
const MAX_WAITING = 100;
const waiting = mostOfConnection(
  MAX_WAITING,
  { category: question.category, state: 'asked' },
  `${MAX_WAITING} questions of this connection wait already`,
);
const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });

/**
 * The owner's side of the Config API, for a wallet whose person is asked by the agent of an institution: what it asks is a record until the person answers. Whether the
 * answer counts is that agent's to say, which has named its approvers.
 */
export const questions = defineProtocol<QuestionValue>({
  name: 'questions',
  uris: [`${OWN_PREFIX}agent-config/1.0`],
  // those of the family
  roles: ['agent', 'owner'],
  binds: question,
  messages: {
    'decision-request': {
      schema: Type.Object({
        decision_id: Text(100),
        point: Text(100),
        record: Type.Optional(AnyObject),
        deadline: Type.Optional(Text(40)),
        approvals: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
      }),
      from: [NEW],
      pages: waiting.pages,
      step(ctx, { thid, body }): Effects {
        const full = waiting.full(ctx);
        if (full) return full;
        const { decision_id, point, record: about, deadline, approvals } = body as Partial<QuestionValue> & { record?: JsonObject };
        return {
          record: {
            role: 'owner',
            connection: ctx.connection!.id,
            states: ['asked'],
            patch: { thread_id: thid, decision_id, point, about, deadline, approvals },
          },
        };
      },
    },
    'decision-recorded': {
      schema: Type.Object({ state: Text(40) }),
      from: ['answered'],
      step: (_ctx, { body: { state } }) => ({ record: { states: ['recorded'], patch: { outcome: state as string } } }),
    },
  },
  problem: {
    schema: Type.Object({}),
    from: ['answered'],
    step: (_ctx, message) => ({ record: { states: ['refused'], patch: { outcome: problemText(message) } } }),
  },
  commands: {
    answer: command({
      route: 'POST /agent-config/questions/{question_id}/answer',
      tag: 'agent-config',
      summary: 'Answer what the agent of a connection asks its owner',
      body: Type.Object({ action: Type.Union([Type.Literal('continue'), Type.Literal('reject')]) }),
      from: ['asked'],
      step(ctx, { body: { action } }): Effects {
        const { thread_id: thid, decision_id } = ctx.record!.value;
        const body = { decision_id, action };
        return {
          record: { states: ['answered'], patch: { action } },
          send: [{ message: composeMessage(questions, { type: 'decision', id: ctx.newId(), thid, body }) }],
        };
      },
    }),
  },
});
