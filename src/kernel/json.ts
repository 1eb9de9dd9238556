import type { Json, JsonObject } from '../ports/json.ts';

/** A typed value as JSON. Its members must be JSON: an interface has no index signature, by which the compiler could see that. */
export const jsonOf = (value: object): JsonObject => value as JsonObject;

/** A JSON value that was checked before it was stored or handed on, in the type that it was checked to have. Nothing is checked here. */
export const checkedAs = <T>(value: Json | object | undefined): T => value as T;
