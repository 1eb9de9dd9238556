export type { AlgodOptions, Network, NodeOptions } from './algod.ts';
export { didAlgoRegistry } from './registry.ts';
