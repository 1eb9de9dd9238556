import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { AppError, type ErrorCode } from '../errors.ts';

/** A compiled check of one schema: `check` narrows, `parse` throws the table's error with the place and the reason. */
export interface Validator<S extends TSchema> {
  readonly schema: S;
  check(value: unknown): value is Static<S>;
  /** @throws AppError `code` naming the first place that does not fit. */
  parse(value: unknown, code: ErrorCode): Static<S>;
}

/** Compiles a schema once, at start-up. */
export function validator<S extends TSchema>(schema: S): Validator<S> {
  const compiled = Compile(schema);
  return Object.freeze({
    schema,
    check: (value: unknown): value is Static<S> => compiled.Check(value),
    parse(value: unknown, code: ErrorCode): Static<S> {
      if (compiled.Check(value)) return value as Static<S>;
      throw new AppError(code, firstError(compiled.Errors(value)));
    },
  });
}

function firstError(errors: readonly { instancePath: string; message: string }[]): string {
  const first = errors[0];
  return first ? `${first.instancePath.slice(1).replaceAll('/', '.') || 'body'}: ${first.message}` : 'the value does not match its schema';
}
