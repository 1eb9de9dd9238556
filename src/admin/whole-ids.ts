import type { Operation } from './operations.ts';

/**
 * Identifiers of the ledger hold slashes. Where a path goes on behind one, the router needs it as one part: this writes the slashes of such a part as `%2F`, for
 * controllers that did not.
 */
export function wholeIds(operations: readonly Pick<Operation, 'method' | 'path'>[]): (method: string, url: string) => string {
  const places = operations
    .flatMap(({ method, path }) => {
      const [before, after] = path.split(/\{[a-z_]+\*\}/) as [string, string | undefined];
      return after ? [{ method, before, after }] : [];
    })
    // of two that fit, the longer end is meant
    .sort((a, b) => b.after.length - a.after.length);
  return (method, url) => {
    const end = url.indexOf('?');
    const path = end < 0 ? url : url.slice(0, end);
    const place = places.find(
      (one) =>
        one.method === method &&
        path.length > one.before.length + one.after.length &&
        path.startsWith(one.before) &&
        path.endsWith(one.after),
    );
    if (!place) return url;
    const id = path.slice(place.before.length, path.length - place.after.length);
    return id.includes('/') ? `${place.before}${id.replaceAll('/', '%2F')}${place.after}${end < 0 ? '' : url.slice(end)}` : url;
  };
}
