import { lstatSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * Finds modules that are named by relative paths without the usual search, for whatever is imported from now on: half of the work of an import is otherwise the
 * search for a file that such a name already gives. Modules of `root` name one another with their extension and are not looked for at all; a file of a package
 * that requires another costs one look.
 * @param root the folder, as a URL that ends in a slash
 */
export function findOwnModules(root: string): void {
  registerHooks({
    resolve(specifier, context, next) {
      const parent = context.parentURL;
      if (parent === undefined || !specifier.startsWith('.')) return next(specifier, context);
      if (specifier.endsWith('.ts') && parent.startsWith(root) && !parent.includes(PACKAGES))
        return { url: joined(parent, specifier), format: 'module-typescript', shortCircuit: true };
      const url = parent.includes(PACKAGES) && context.conditions.includes('require') ? required(parent, specifier) : undefined;
      return url === undefined ? next(specifier, context) : { url, shortCircuit: true };
    },
  });
}

const PACKAGES = '/node_modules/';
/** A path of plain names to a file: what else a path may be, the usual search finds. */
const PLAIN = /^\.{1,2}(?:\/\.\.)*(?:\/[\w-][\w.-]{0,99}){1,10}$/;

/** The file that a file of a package requires by a relative path, as the usual search has it; undefined for folders, links, data and what is not there. */
function required(from: string, path: string): string | undefined {
  if (!PLAIN.test(path)) return undefined;
  const url = joined(from, path);
  if (isFile(url)) return /\.c?js$/.test(path) ? url : undefined;
  return isFile(`${url}.js`) ? `${url}.js` : undefined;
}

const isFile = (url: string): boolean =>
  lstatSync(url.includes('%') ? fileURLToPath(url) : url.slice('file://'.length), { throwIfNoEntry: false })?.isFile() === true;

/** The URL that a relative path of plain names and leading dots names: `new URL` does the same in many times the time, and a start needs thousands. */
function joined(from: string, path: string): string {
  let end = from.lastIndexOf('/');
  let at = 0;
  for (;;) {
    if (path.startsWith('./', at)) at += 2;
    else if (path.startsWith('../', at)) {
      at += 3;
      end = from.lastIndexOf('/', end - 1);
    } else return `${from.slice(0, end)}/${path.slice(at)}`;
  }
}
