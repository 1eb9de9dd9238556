import { not, type Requirement } from './requirement.ts';

const HUB = 'there is no hub';

/** The hub: data that a person stores and shares. */
export const HUB_ROWS: readonly Requirement[] = [
  not('S2-51', 'a hub stores and shares data', HUB),
  not('S2-52', 'a hub has no keys', HUB),
  not('S2-53', 'a hub holds much', HUB),
  not('S2-54', 'the owner grants access to a service', HUB),
  not('S2-55', 'without the edge agent', HUB),
  not('S2-56', 'a grant can end', HUB),
];
