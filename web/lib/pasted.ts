import { t } from './i18n.ts';

/** The input of `receive-invitation` from what was pasted: JSON, a link that holds it, or a short link. @throws Error in words for anything else */
export function pasted(text: string): object {
  const given = text.trim();
  if (given.startsWith('{')) {
    try {
      return JSON.parse(given);
    } catch {
      throw new Error(t('receive.bad-json'));
    }
  }
  if (/^[a-z][a-z0-9+.-]*:/i.test(given) && URL.canParse(given)) return { invitation_url: given };
  throw new Error(t('receive.unknown'));
}
