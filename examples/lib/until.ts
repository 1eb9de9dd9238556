import { PATIENCE_MS, pause } from '../demo/controller.ts';

/** Looks again and again until there is something. @param what - its name, for the error */
export async function until<T>(look: () => T | false | undefined | Promise<T | false | undefined>, what: string): Promise<T> {
  for (const began = Date.now(); Date.now() - began < PATIENCE_MS; await pause(50)) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
  }
  throw new Error(`waited in vain for ${what}`);
}
