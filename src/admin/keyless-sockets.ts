/** How long a socket may be there without a key, and how many such sockets there may be, of one address and of all. */
const KEYLESS_MS = 5000;
const MAX_KEYLESS = 256;
const MAX_KEYLESS_PER_ADDRESS = 32;

/**
 * Sockets without a key yet: counted by address, and closed when their time is over. Where all places are taken, the oldest socket of the address with the most
 * is closed, so that a few addresses keep no other out.
 */
export function keylessSockets() {
  const byAddress = new Map<string, Set<() => void>>();
  let all = 0;
  return {
    mayCome(address: string): boolean {
      const own = byAddress.get(address)?.size ?? 0;
      if (own >= MAX_KEYLESS_PER_ADDRESS) return false;
      if (all < MAX_KEYLESS) return true;
      const most = [...byAddress.values()].reduce((one, other) => (other.size > one.size ? other : one));
      if (most.size <= own) return false;
      const [letGo] = most;
      letGo?.();
      return true;
    },
    /** @returns the function that frees the place, when a key came or the socket ended; called again it does nothing */
    enter(address: string, onLate: () => void): () => void {
      const own = byAddress.get(address) ?? new Set();
      byAddress.set(address, own);
      // its place is free at once, however long its close takes
      const letGo = (): void => {
        over();
        onLate();
      };
      const timer = setTimeout(letGo, KEYLESS_MS);
      timer.unref();
      const over = (): void => {
        if (!own.delete(letGo)) return;
        clearTimeout(timer);
        all--;
        if (own.size === 0) byAddress.delete(address);
      };
      own.add(letGo);
      all++;
      return over;
    },
  };
}
