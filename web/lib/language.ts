import { h, type VNode } from './h.ts';
import { currentLanguage, LANGUAGES, type Language, loadLanguage, t } from './i18n.ts';

/** The choice of the page's language. */
export function LanguageChoice({ onChange }: { onChange: () => void }): VNode {
  const choose = (event: { currentTarget: { value: string } }): void => {
    loadLanguage(event.currentTarget.value as Language, true).then(onChange, () => {});
  };
  return h(
    'select',
    { 'aria-label': t('language'), value: currentLanguage(), onChange: choose },
    ...Object.entries(LANGUAGES).map(([code, name]) =>
      h('option', { value: code, lang: code, selected: code === currentLanguage() }, name),
    ),
  );
}
