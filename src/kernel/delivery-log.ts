import { BoundedMap } from '../bounded-map.ts';

/** One try to deliver an event to a webhook: no body, no header. */
export interface DeliveryTry {
  /** Ms since 1970. */
  readonly time: number;
  readonly event: string;
  readonly topic: string;
  /** From 1 on. */
  readonly attempt: number;
  /** The status that the webhook answered; absent where it did not answer. */
  readonly status?: number;
  readonly error?: string;
}

/** The last tries for each webhook, of this process and since its start: what is given up for good is a dead letter, which is stored. */
export interface DeliveryLog {
  note(tenant: string, target: string, entry: DeliveryTry): void;
  /** The newest first. */
  of(tenant: string, target: string): readonly DeliveryTry[];
}

const KEPT = 20;
const MAX_TARGETS = 2_000;

export function createDeliveryLog(): DeliveryLog {
  const tries = new BoundedMap<string, DeliveryTry[]>(MAX_TARGETS);
  return {
    note(tenant, target, entry) {
      const name = `${tenant} ${target}`;
      tries.set(name, [entry, ...(tries.get(name) ?? [])].slice(0, KEPT));
    },
    of: (tenant, target) => tries.get(`${tenant} ${target}`) ?? [],
  };
}
