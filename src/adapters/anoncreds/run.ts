import { AppError } from '../../errors.ts';
import type * as shapes from './shapes.ts';

/** Where an operation runs: keys take seconds to minutes of a core, and so do registries, whose time is known beforehand. */
export type Place = 'pool' | 'keys' | { registryOf: number };

/** Runs an operation of the library for a tenant, and checks its result. */
export type Run = <Value>(
  tenant: string,
  operation: string,
  input: Record<string, unknown>,
  shape: shapes.Shape,
  place?: Place,
) => Promise<Value>;

/** @throws AppError `bad-request` for a value of another shape */
export function demand(shape: shapes.Shape, value: unknown, name: string): void {
  const fault = shape(value, name);
  if (fault) throw new AppError('bad-request', fault);
}
