/** The words of the pages: `web/text/<language>.json`, under the same keys in every language. */

export const LANGUAGES = { en: 'English', fr: 'Français', ar: 'العربية' } as const;
export type Language = keyof typeof LANGUAGES;

let words: Readonly<Record<string, string>> = {};
let language: Language = 'en';
const KEPT = 'flexid-language';

const isLanguage = (name: string | null | undefined): name is Language => typeof name === 'string' && Object.hasOwn(LANGUAGES, name);

/** The language that was chosen here, else the first one of the browser's that there is. */
export function preferredLanguage(): Language {
  const chosen = localStorage.getItem(KEPT);
  if (isLanguage(chosen)) return chosen;
  return navigator.languages.map((one) => one.split('-')[0]).find(isLanguage) ?? 'en';
}

export async function loadLanguage(name: Language, chosen = false): Promise<void> {
  const answer = await fetch(`${document.body.dataset.base}/text/${name}.json`);
  if (!answer.ok) throw new Error('the words of this page could not be loaded');
  words = await answer.json();
  language = name;
  document.documentElement.lang = name;
  document.documentElement.dir = name === 'ar' ? 'rtl' : 'ltr';
  if (chosen) localStorage.setItem(KEPT, name);
}

export const currentLanguage = (): Language => language;

type Values = Readonly<Record<string, string | number>>;

/** The text of a key. With `count` the key has a text for each plural form: `key.one`, `key.other` and what the language has more. */
export function t(key: string, values: Values = {}): string {
  const { count } = values;
  const form = typeof count === 'number' ? `${key}.${new Intl.PluralRules(language).select(count)}` : key;
  const text = words[form] ?? words[`${key}.other`] ?? words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_all, name: string) => {
    const value = values[name];
    return typeof value === 'number' ? value.toLocaleString(language) : (value ?? '');
  });
}

/** What stands between the items of a list. */
export const comma = (): string => (language === 'ar' ? '، ' : ', ');

/** The word for a value of the API, as a state; the value itself where there is none. */
export const word = (group: string, value: string): string => words[`${group}.${value}`] ?? value;

/** An amount of the ledger's account, in ALGO. @param micro in microALGO */
export const algo = (micro: number): string => (micro / 1e6).toLocaleString(language, { maximumFractionDigits: micro < 1e9 ? 6 : 0 });

/** A time of the API, ISO 8601 or ms since 1970, in the reader's way. */
export function time(at: string | number | undefined): string {
  const date = new Date(at ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleString(language, { dateStyle: 'medium', timeStyle: 'short' });
}
