import type { ClaimedLane, JobKind } from './store.ts';

/** The most that a claim takes of each tenant and target, so that one tenant, or one target that does not answer, leaves room for the others. */
export interface Share {
  /** Lanes of one tenant that the caller may hold, and how many it holds by tenant. */
  readonly tenant: number;
  readonly held: ReadonlyMap<string, number>;
  /** Lanes of one target that may be taken, and how many of those that the caller knows. See `targetOf`. */
  readonly target: number;
  readonly targets: readonly { readonly tenant: string; readonly target: string; readonly room: number }[];
}

/** Which lanes are claimed, and for how long. */
export interface Claim {
  readonly owner: string;
  readonly lanes: number;
  readonly perLane: number;
  readonly leaseMs: number;
  readonly kinds?: readonly JobKind[];
  readonly share?: Share;
}

export interface Claims {
  readonly lanes: ClaimedLane[];
  /** Whether lanes of these kinds were due and are not claimed: beyond the number or the share, or another process was at them. */
  readonly left: boolean;
  /**
   * When there is next something to claim, in ms since 1970: a lane that nobody holds is due, or a hold runs out. Absent when there is nothing; lanes that wait
   * for `claim({lane})` do not count.
   */
  readonly next?: number;
}

/** The target that a lane's name has: a webhook, of `event:<webhook>:<tenant>:<record>`. Empty for all others. Both stores have the same rule. */
export const targetOf = (lane: string): string => /^event:([^:]*):/.exec(lane)?.[1] ?? '';
