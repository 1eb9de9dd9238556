import type { Static, TSchema } from 'typebox';
import { asAppError } from '../../errors.ts';
import type { Effects } from '../../kernel/effects.ts';
import { EVENTS_GRANT } from '../../kernel/grants.ts';
import type { CommandInput, CommandStep, Load, MessageStep, StepContext } from '../../kernel/protocol.ts';
import { validator } from '../../kernel/schema.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { ConnectionValue } from '../../records/connection.ts';
import { without } from './schemas.ts';

/** One operation of the Config API: a message with its reply, and a route of the admin API, of one function. */

export type Ctx = StepContext<ConnectionValue>;

/** The effects of an operation, and the body of its reply or HTTP answer. */
export interface Done extends Pick<Effects, 'others' | 'next' | 'invalidate'> {
  readonly answer: JsonObject;
}

interface Operation<B extends TSchema> {
  /** The message of its answer. */
  readonly reply: string;
  /** Members of the body in braces stand in the path. */
  readonly route: string;
  readonly summary: string;
  readonly body: B;
  /** Its lookups; the body of a message is not checked by its schema yet. */
  load(body: Readonly<JsonObject>): Readonly<Record<string, Load>>;
  /** @param by the caller: a connection, or a controller */
  step(ctx: Ctx, body: Static<B>, by: string): Done;
}

/** An operation, as a message and as a command with its route. */
export const operation = <B extends TSchema>(given: Operation<B>) => ({
  reply: given.reply,
  message: messageOf(given),
  command: commandOf(given),
});

/** Its message; its problem reports hold the whole error, since the peer is an owner of the agent. */
function messageOf<B extends TSchema>({ reply, body, load, step }: Operation<B>): MessageStep<ConnectionValue> {
  return {
    schema: body,
    from: '*',
    grant: EVENTS_GRANT,
    load: (message) => load(message.body),
    step(ctx, message) {
      let done: Done;
      try {
        done = step(ctx, message.body as Static<B>, `connection ${ctx.connection!.id}`);
      } catch (thrown) {
        const { code, message: text } = asAppError(thrown);
        if (code === 'internal') throw thrown;
        return { problem: { code, text } };
      }
      const { answer, ...effects } = done;
      return { ...effects, send: [{ type: reply, body: answer }] };
    },
  };
}

/** Its route. A controller may name the decider. */
function commandOf<B extends TSchema>({ route, summary, body, load, step }: Operation<B>): CommandStep<ConnectionValue> {
  const names = [...route.matchAll(/\{([a-z_]+)\}/g)].map(([, name]) => name!);
  const check = validator(body);
  const bodied = !/^(?:GET|DELETE) /.test(route);
  const whole = (input: CommandInput): JsonObject => ({ ...(input.body as JsonObject), ...input.params });
  return {
    route,
    tag: 'agent-config',
    summary,
    freePath: true,
    from: '*',
    ...(bodied && { body: without(body, names) }),
    load: (input) => load(whole(input)),
    step(ctx, input) {
      // parameters of the path are checked nowhere else
      const { decider, ...given } = check.parse(whole(input), 'unprocessable') as JsonObject;
      return step(ctx, given as Static<B>, decider === undefined ? 'controller' : `controller ${decider}`);
    },
  };
}
