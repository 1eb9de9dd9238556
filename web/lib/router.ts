import { useEffect, useState } from './h.ts';

/** Where a page is, in the fragment of its address: `#/connections/<id>`. A fragment is never sent to a server. */
export interface Place {
  readonly screen: string;
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

function placeOf(hash: string): Place {
  const [path = '', query] = hash.replace(/^#\/?/, '').split('?', 2);
  const decoded = path.split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return '';
    }
  });
  const [screen = '', ...parts] = decoded;
  return { screen, parts, query: new URLSearchParams(query) };
}

/** The address of a place within the page. */
export function to(screen: string, parts: readonly string[] = [], query: Readonly<Record<string, string>> = {}): string {
  const asked = new URLSearchParams(query).toString();
  return `#/${[screen, ...parts].map(encodeURIComponent).join('/')}${asked && `?${asked}`}`;
}

export function go(...where: Parameters<typeof to>): void {
  location.hash = to(...where);
}

/** The present place. After a move the heading has the focus, so that a screen reader begins there. */
export function usePlace(): Place {
  const [place, set] = useState(() => placeOf(location.hash));
  useEffect(() => {
    const moved = (): void => set(placeOf(location.hash));
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  return place;
}

let first = true;
export function useFocusedHeading(key: string): void {
  useEffect(() => {
    // a narrow page has the navigation in one row, which scrolls
    const show = (): void => {
      const at = document.querySelector('nav.main [aria-current]');
      const row = at?.closest('ul');
      if (!at || !row) return;
      const [own, all] = [at.getBoundingClientRect(), row.getBoundingClientRect()];
      // the row alone: a keyboard on the screen is a resize too
      row.scrollLeft += own.left + own.width / 2 - (all.left + all.width / 2);
    };
    show();
    addEventListener('resize', show);
    return () => removeEventListener('resize', show);
  }, [key]);
  useEffect(() => {
    if (first) {
      first = false;
      return;
    }
    scrollTo(0, 0);
    document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true });
  }, [key]);
}
