import { DECISIONS } from '../../kernel/consulting.ts';
import { defineProtocol } from '../../kernel/protocol.ts';
import { type DecisionValue, decision } from '../../records/decision.ts';
import { ordered } from './deciding.ts';

/** The end of decisions without an answer. */
export const decisions = defineProtocol<DecisionValue>({
  name: DECISIONS,
  uris: [],
  binds: decision,
  messages: {},
  commands: {
    expire: {
      from: ['asked'],
      step(ctx) {
        const found = ctx.record!;
        const { on_timeout, otherwise } = found.value;
        const action = on_timeout === 'default' ? otherwise : on_timeout;
        if (on_timeout === 'hold') return { record: { states: ['held'] } };
        return { record: { states: ['expired'] }, next: action === 'hold' ? [] : [ordered(found, action)] };
      },
    },
  },
});
