import type { TSchema } from 'typebox';
import { AppError, type ErrorCode } from '../errors.ts';
import { Members, validator } from '../kernel/schema.ts';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import { canonicalName } from './anoncreds-values.ts';

/** Bodies of controllers about proofs, of either version of present-proof. */

const Restrictions = Type.Optional(Type.Union([Type.Array(Type.Object({})), Type.Object({})]));
const Interval = Type.Optional(
  Type.Union([Type.Object({ from: Type.Optional(Type.Integer()), to: Type.Optional(Type.Integer()) }), Type.Null()]),
);
/** Text that goes to native code, for which U+0000 would be its end. */
const Words = (max: number) => Type.String({ maxLength: max, pattern: '^[^\\u0000]*$' });
const Name = Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000]*$' });
const Referents = <S extends TSchema>(schema: S) => Members(schema, { maxProperties: 200 });

/** An AnonCreds proof request, as ACA-Py takes it from a controller. */
export const ProofRequest = Type.Object({
  name: Type.Optional(Words(1000)),
  version: Type.Optional(Words(100)),
  nonce: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,24}$' })),
  requested_attributes: Referents(
    Type.Object({
      name: Type.Optional(Name),
      names: Type.Optional(Type.Array(Name, { minItems: 1, maxItems: 125 })),
      restrictions: Restrictions,
      non_revoked: Interval,
    }),
  ),
  requested_predicates: Referents(
    Type.Object({
      name: Name,
      p_type: Type.Union([Type.Literal('<'), Type.Literal('<='), Type.Literal('>='), Type.Literal('>')]),
      p_value: Type.Integer({ minimum: -2147483648, maximum: 2147483647 }),
      restrictions: Restrictions,
      non_revoked: Interval,
    }),
  ),
  non_revoked: Interval,
});
const Chosen = Type.Object({ cred_id: Type.String(), revealed: Type.Optional(Type.Boolean()), timestamp: Type.Optional(Type.Integer()) });
/** Which credential answers which referent. */
export const Presentation = Type.Object({
  requested_attributes: Referents(Chosen),
  requested_predicates: Referents(Chosen),
  self_attested_attributes: Referents(Type.String({ pattern: '^[^\\u0000]*$' })),
});

/** The members of a request that are read to answer it: a peer's request is outside input, whichever message brought it. */
const Asked = validator(
  Type.Object({
    requested_attributes: ProofRequest.properties.requested_attributes,
    requested_predicates: ProofRequest.properties.requested_predicates,
  }),
);

const MAX_WEIGHT = 20_000;

interface Attribute {
  readonly name?: string;
  readonly names?: readonly string[];
  readonly restrictions?: unknown;
}

/**
 * A proof request that can be answered: each attribute has `name` or `names`, and no two names of a group are one name for the proof, which would leave open
 * which of two values was proven.
 * @throws AppError `code`
 */
export function checkRequest(request: JsonObject, code: ErrorCode): void {
  Asked.parse(request, code);
  if (weightOf(request) > MAX_WEIGHT) throw new AppError(code, 'The restrictions of the request are too large');
  for (const [referent, one] of Object.entries(request.requested_attributes as Record<string, Attribute>)) {
    const refuse = (why: string): never => {
      throw new AppError(code, `requested_attributes.${referent}: ${why}`);
    };
    checkReferent(referent, code);
    if ((one.name === undefined) === (one.names === undefined)) refuse('one of name and names is needed');
    const names = one.names ?? [one.name!];
    if (names.some((name) => canonicalName(name) === '')) refuse('a name is empty');
    if (new Set(names.map(canonicalName)).size !== names.length) refuse('two names differ only in blanks or case');
  }
  for (const [referent, { name }] of Object.entries(request.requested_predicates as Record<string, { name: string }>)) {
    checkReferent(referent, code);
    if (canonicalName(name) === '') throw new AppError(code, `requested_predicates.${referent}: the name is empty`);
  }
}

/** The cost of matching a request with one credential: its referents, and the members of their restrictions. */
export function weightOf(request: JsonObject): number {
  const count = (value: unknown): number =>
    typeof value === 'object' && value !== null ? Object.values(value).reduce((sum: number, one) => sum + count(one), 1) : 1;
  const referents = [...Object.values(request.requested_attributes as object), ...Object.values(request.requested_predicates as object)];
  return referents.reduce((sum, { restrictions }) => sum + count(restrictions), 1);
}

/** Names of referents go to native code as well. */
function checkReferent(referent: string, code: ErrorCode): void {
  if (referent.length > 256 || referent.includes('\0')) throw new AppError(code, 'A referent is longer than 256 characters or has U+0000');
}

/** Whether a request puts no restriction at all: absent, empty list or empty object. */
export function isUnrestricted(restrictions: unknown): boolean {
  if (restrictions === undefined || restrictions === null) return true;
  return typeof restrictions === 'object' && Object.keys(restrictions).length === 0;
}

/** A controller's choice, as `Presentation` takes it. */
export interface Choice {
  readonly requested_attributes: Readonly<Record<string, { cred_id: string; revealed?: boolean; timestamp?: number }>>;
  readonly requested_predicates: Readonly<Record<string, { cred_id: string; timestamp?: number }>>;
  readonly self_attested_attributes: Readonly<Record<string, string>>;
}

/**
 * A controller's choice of credentials answers the request and nothing else: each referent once, by its own word only where that is allowed. Whether the
 * credentials are there and fit is found out with the wallet at hand.
 * @throws AppError `bad-request` with what is wrong
 */
export function checkChoice(request: JsonObject, choice: Choice): void {
  checkRequest(request, 'bad-request');
  const refuse = (why: string): never => {
    throw new AppError('bad-request', why);
  };
  const attributes = request.requested_attributes as Record<string, Attribute>;
  const predicates = request.requested_predicates as Record<string, unknown>;
  const { requested_attributes: shown, requested_predicates: proven, self_attested_attributes: stated } = choice;
  for (const [referent, asked] of Object.entries(attributes)) {
    const [isShown, isStated] = [Object.hasOwn(shown, referent), Object.hasOwn(stated, referent)];
    if (!isShown && !isStated) refuse(`The requested attribute ${referent} has no answer`);
    if (isShown && isStated) refuse(`The requested attribute ${referent} has two answers`);
    if (isStated && asked.names) refuse(`The requested group ${referent} cannot be self-attested`);
    if (isStated && !isUnrestricted(asked.restrictions))
      refuse(`The requested attribute ${referent} has restrictions and cannot be self-attested`);
  }
  for (const referent of Object.keys(predicates))
    if (!Object.hasOwn(proven, referent)) refuse(`The requested predicate ${referent} has no answer`);
  for (const referent of [...Object.keys(shown), ...Object.keys(stated)])
    if (!Object.hasOwn(attributes, referent)) refuse(`The request has no attribute ${referent}`);
  for (const referent of Object.keys(proven)) if (!Object.hasOwn(predicates, referent)) refuse(`The request has no predicate ${referent}`);
}

/** A prover's own proposal for some attributes or predicates: it presents a credential for which this holds. */
export interface Wish {
  readonly names: readonly string[];
  /** WQL, as in a request. */
  readonly restrictions?: unknown;
  /** It named the value and no credential: a self-attested one. */
  readonly stated?: string;
}

/** The wishes in a proposal that is a proof request, as present-proof 2.0 has it. */
export function wishesOf(proposal: JsonObject | undefined): Wish[] {
  const { requested_attributes: attributes = {}, requested_predicates: predicates = {} } = (proposal ?? {}) as {
    requested_attributes?: Record<string, Attribute>;
    requested_predicates?: Record<string, Attribute>;
  };
  return [...Object.values(attributes), ...Object.values(predicates)].map(({ name, names, restrictions }) => ({
    names: names ?? [name ?? ''],
    restrictions,
  }));
}
