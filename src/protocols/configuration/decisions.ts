import { DECISIONS } from '../../kernel/consulting.ts';
import { defineProtocol } from '../../kernel/protocol.ts';
import { type DecisionValue, decision } from '../../records/decision.ts';
import { forgetting, ordered } from './deciding.ts';

/** The end of decisions without an answer, and of their records. */
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
        const orders = action === 'hold' ? [] : [ordered(found, action)];
        return { record: { states: ['expired'] }, next: [...orders, ...forgetting(ctx, found.id)] };
      },
    },
    forget: {
      from: ['accepted', 'rejected', 'expired'],
      step: () => ({ record: { remove: true, silent: true } }),
    },
  },
});
