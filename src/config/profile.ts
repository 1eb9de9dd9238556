import type { Name } from './settings.ts';

/**
 * The settings of `--profile small` where none were given: a gateway with 256 MiB and a part of a core. The launcher bounds V8's heap beside them, since that is
 * done before V8 starts.
 */
const SMALL: Partial<Record<Name, unknown>> = {
  anoncredsWorkers: 1,
  maxSockets: 500,
  maxConnectionsPerAddress: 128,
  tenantAtOnce: 4,
};

/** The settings that a profile has beside those that were given. */
export const profilePreset = (given: (name: Name) => unknown): Partial<Record<Name, unknown>> =>
  given('profile') === 'small'
    ? Object.fromEntries(Object.entries(SMALL).map(([name, value]) => [name, given(name as Name) ?? value]))
    : {};
