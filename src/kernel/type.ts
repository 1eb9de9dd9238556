import type { Type as Built, TProperties, TSchema } from 'typebox';

/**
 * The types of typebox that this agent uses, made of JSON Schema by these few lines: typebox's own entry loads 300 modules for them, a fifth of a start. Schemas
 * of either make fit into each other.
 */

type Options = Readonly<Record<string, unknown>>;

/** Sets a mark that is no part of the JSON. */
const marked = <T extends object>(schema: T, name: string, value: unknown): T =>
  Object.defineProperty(schema, name, { value, enumerable: false, configurable: true, writable: true });

const simple =
  (kind: string, members: object) =>
  (options: Options = {}): object =>
    marked({ ...members, ...options }, '~kind', kind);

const isOptional = (schema: TSchema): boolean => Object.hasOwn(schema, '~optional');

/** The same with the marks that it has. */
const copied = (schema: TSchema): object => Object.defineProperties({}, Object.getOwnPropertyDescriptors(schema));

const optional = (schema: TSchema): object => marked(copied(schema), '~optional', true);

function object(properties: TProperties, options: Options = {}): object {
  const required = Object.keys(properties).filter((name) => !isOptional(properties[name]!));
  return simple('Object', { type: 'object', ...(required.length > 0 && { required }), properties })(options);
}

const made = {
  Object: object,
  Optional: optional,
  String: simple('String', { type: 'string' }),
  Boolean: simple('Boolean', { type: 'boolean' }),
  Integer: simple('Integer', { type: 'integer' }),
  Number: simple('Number', { type: 'number' }),
  Null: simple('Null', { type: 'null' }),
  Unknown: simple('Unknown', {}),
  Literal: (value: string | number | boolean, options: Options = {}) => simple('Literal', { type: typeof value, const: value })(options),
  Array: (items: TSchema, options: Options = {}) => simple('Array', { type: 'array', items })(options),
  Union: (anyOf: readonly TSchema[], options: Options = {}) => simple('Union', { anyOf })(options),
  /** Another static type for a schema. */
  Unsafe: (schema: TSchema) => marked(copied(schema), '~unsafe', null),
  Partial: ({ properties }: { readonly properties: TProperties }) =>
    object(Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, optional(one) as TSchema]))),
  Omit: ({ properties }: { readonly properties: TProperties }, names: readonly string[]) =>
    object(Object.fromEntries(Object.entries(properties).filter(([name]) => !names.includes(name)))),
};

const Type = made as unknown as Pick<typeof Built, keyof typeof made>;
export default Type;
