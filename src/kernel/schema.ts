import { createRequire } from 'node:module';
import type { Static, TSchema, TUnsafe } from 'typebox';
import { AppError, type ErrorCode } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import Type from './type.ts';

/** A compiled check of one schema: `check` narrows, `parse` throws the table's error with the place and the reason. */
export interface Validator<S extends TSchema> {
  readonly schema: S;
  check(value: unknown): value is Static<S>;
  /** @throws AppError `code` naming the first place that does not fit. */
  parse(value: unknown, code: ErrorCode): Static<S>;
}

/** An object whose members others name, each of that schema. `Type.Record` is no such thing: its pattern lets names with a line break pass unchecked. */
export const Members = <S extends TSchema>(schema: S, options: object = {}): TUnsafe<Record<string, Static<S>>> =>
  Type.Unsafe<Record<string, Static<S>>>(Type.Object({}, { additionalProperties: schema, ...options }));

/** An object of whatever members. */
export const AnyObject = Type.Unsafe<JsonObject>(Type.Object({}));

/** The compiler is a fifth of a start, and comes with the first check. */
const require = createRequire(import.meta.url);
const compile = <S extends TSchema>(schema: S) => (require('typebox/schema') as typeof import('typebox/schema')).Compile(schema);

/** Compiled validators by schema: agents of one process, and several registries, share them. */
const known = new WeakMap<TSchema, Validator<TSchema>>();

/** The check of a schema, compiled when it is first used: few of them are in a process's time. The schema is a literal, which nobody changes. */
export function validator<S extends TSchema>(schema: S): Validator<S> {
  const before = known.get(schema);
  if (before) return before as Validator<S>;
  const made = compiledOf(schema);
  known.set(schema, made as Validator<TSchema>);
  return made;
}

function compiledOf<S extends TSchema>(schema: S): Validator<S> {
  let known: ReturnType<typeof compile<S>> | undefined;
  const compiled = () => {
    known ??= compile(schema);
    return known;
  };
  return Object.freeze({
    schema,
    check: (value: unknown): value is Static<S> => compiled().Check(value),
    parse(value: unknown, code: ErrorCode): Static<S> {
      if (compiled().Check(value)) return value as Static<S>;
      const part = headOf(value);
      throw new AppError(code, firstError(part === undefined ? [] : compiled().Errors(part)[1]));
    },
  });
}

/** The members of a query that page a list, within ACA-Py's bounds. */
export const LIMIT = Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 }));
export const OFFSET = Type.Optional(Type.Integer({ minimum: 0, maximum: 999_999_999 }));

const TRUE = /^(?:true|t|yes|y|on|1)$/i;
const FALSE = /^(?:false|f|no|n|off|0)$/i;
const WHOLE = /^\s*[+-]?\d{1,15}\s*$/;

/** The parts of a JSON Schema that `marshalled` follows. */
interface Shape {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly patternProperties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  readonly anyOf?: readonly Shape[];
}

/**
 * A controller's value as ACA-Py's library, marshmallow, reads it before it checks it: a boolean may be written in several ways, and a whole number as text.
 * Every member of a query is text. A member without a schema stays as it is; so does what is none of them, for the schema to refuse.
 */
export function marshalled(schema: Shape, value: unknown): unknown {
  const text = typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
  if (schema.type === 'boolean' && text !== undefined) return TRUE.test(text) ? true : FALSE.test(text) ? false : value;
  if (schema.type === 'integer' && typeof value === 'string') return WHOLE.test(value) ? Number(value) : value;
  if (schema.anyOf) return marshalledOne(schema.anyOf, value);
  if (Array.isArray(value)) return schema.items ? value.map((item) => marshalled(schema.items!, item)) : value;
  if (schema.type !== 'object' || typeof value !== 'object' || value === null) return value;
  const every = Object.values(schema.patternProperties ?? {})[0];
  const { properties = {} } = schema;
  const entries = Object.entries(value).map(([name, member]) => {
    const shape = Object.hasOwn(properties, name) ? properties[name] : every;
    return [name, shape ? marshalled(shape, member) : member] as const;
  });
  return Object.fromEntries(entries);
}

/** The same where a value may have one of several forms: it follows the only one of its kind. */
function marshalledOne(shapes: readonly Shape[], value: unknown): unknown {
  const kind = Array.isArray(value) ? 'array' : typeof value;
  if (shapes.some(({ type }) => type === kind && kind === 'string')) return value;
  const kinds = kind === 'string' || kind === 'number' ? ['boolean', 'integer'] : [kind];
  const [only, ...others] = shapes.filter(({ type }) => type !== undefined && kinds.includes(type));
  return only && others.length === 0 ? marshalled(only, value) : value;
}

/** Of one list, and in all: what is looked at for the place of a fault. No schema allows a list of more elements than the first, of those that have a bound. */
const MAX_ELEMENTS = 10_001;
const MAX_LOOKED = 20_000;

/**
 * The part of a value that is searched for its first fault: the library looks on when it has found one, for seconds where a list has hundreds of thousands of wrong
 * elements. @returns undefined where even that is much
 */
function headOf(value: unknown): unknown {
  let looked = 0;
  const head = (part: unknown): unknown => {
    looked++;
    if (typeof part !== 'object' || part === null || looked > MAX_LOOKED) return part;
    if (Array.isArray(part)) return part.slice(0, MAX_ELEMENTS).map(head);
    return Object.fromEntries(Object.entries(part).map(([name, member]) => [name, head(member)]));
  };
  const part = head(value);
  return looked > MAX_LOOKED ? undefined : part;
}

function firstError(errors: readonly { instancePath: string; message: string }[]): string {
  const first = errors[0];
  return first ? `${first.instancePath.slice(1).replaceAll('/', '.') || 'body'}: ${first.message}` : 'the value does not match its schema';
}
