import { AppError } from '../../errors.ts';
import type { Incoming, StepContext } from '../../kernel/protocol.ts';
import Type from '../../kernel/type.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { Query } from '../../ports/store.ts';
import { did } from '../../records/did.ts';

/** Parts of schemas and bodies that several families of owners' messages share. */

export const Id = Type.String({ minLength: 1, maxLength: 500 });
export const Text = Type.Optional(Type.String({ maxLength: 2000 }));
export const Flag = Type.Optional(Type.Boolean());

/** How many rows a list has at most. */
const MOST = 100;

/** Members of a question for a list, of this agent's own: the toolbox has none. */
export const PAGE = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MOST })),
  offset: Type.Optional(Type.Integer({ minimum: 0, maximum: 999_999_999 })),
};

/** The page that a message asks for. */
export const pageOf = ({ body }: Incoming): Pick<Query, 'limit' | 'offset'> => ({
  limit: Number(body.limit ?? MOST),
  offset: Number(body.offset ?? 0),
});

/** Finds the DID that issues where a message names none. */
export const issuerLookup = { issuer: { category: did.category, tag: 'posture', equals: 'public' } };

/** The DID that issues: the one that is named, or the public one. @throws AppError `bad-request` where there is neither */
export function issuerOf(ctx: Pick<StepContext, 'loaded'>, { issuer_id: named }: Readonly<JsonObject>): string {
  const issuer = (named as string | undefined) ?? did.of(ctx.loaded.issuer)?.value.did;
  if (issuer === undefined) throw new AppError('bad-request', 'The wallet has no public DID: issuer_id must name the one that issues');
  return issuer;
}
