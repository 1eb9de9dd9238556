import { registerHooks } from 'node:module';

/**
 * Finds the modules of a folder that name one another by relative paths without a look at the disk, for whatever is imported from now on: half of the work of
 * an import is otherwise the search for what such a name already says.
 * @param root the folder, as a URL that ends in a slash
 */
export function findOwnModules(root: string): void {
  registerHooks({
    resolve(specifier, context, next) {
      if (!specifier.startsWith('.') || !specifier.endsWith('.ts') || !context.parentURL?.startsWith(root)) return next(specifier, context);
      return { url: new URL(specifier, context.parentURL).href, format: 'module-typescript', shortCircuit: true };
    },
  });
}
