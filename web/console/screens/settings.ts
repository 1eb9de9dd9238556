import { type Answer, call, may } from '../../lib/api.ts';
import { Fragment, h, useState, type VNode } from '../../lib/h.ts';
import { t, word } from '../../lib/i18n.ts';
import { useLoad } from '../../lib/live.ts';
import { screen } from '../../lib/screen.ts';
import { Theirs } from '../../lib/theirs.ts';
import { Check, Facts, Form, Heading, Named, Shown } from '../../lib/ui.ts';
import { Webhooks } from './webhooks.ts';

/** The wallet's settings, and its webhooks. */
export const settings = screen({ path: 'settings', title: 'settings.title', needs: ['get_settings'], view: () => h(Settings, null) });

function Settings(): VNode {
  const loaded = useLoad(() => call('get_settings'), ['settings']);
  const [changed, change] = useState<Readonly<Record<string, boolean>>>({});
  const submit = async (): Promise<string> => {
    await call('put_settings', { body: { extra_settings: changed } });
    // until what was saved is read again, the page shows what was chosen
    await loaded.reload();
    change({});
    return t('settings.saved');
  };
  return h(
    Fragment,
    null,
    h(Heading, null, t('settings.title')),
    h(Shown<Answer>, {
      of: loaded,
      children: (all) => {
        const entries = Object.entries(all as Record<string, unknown>).sort(([a], [b]) =>
          word('setting', a).localeCompare(word('setting', b)),
        );
        const flags = entries.filter(([, value]) => typeof value === 'boolean') as [string, boolean][];
        const others = entries.filter(([, value]) => typeof value !== 'boolean');
        return h(
          Fragment,
          null,
          h(Facts, {
            of: others.map(([name, value]) => [h(Named, { name, text: word('setting', name) }), h(Theirs, { text: value })] as const),
          }),
          h(
            Form,
            { onSubmit: submit, action: t('settings.save') },
            h('p', null, t('settings.until')),
            ...flags.map(([name, value]) =>
              h(Check, {
                key: name,
                label: h(Named, { name, text: word('setting', name) }),
                checked: changed[name] ?? value,
                onChange: (on) => change({ ...changed, [name]: on }),
              }),
            ),
          ),
        );
      },
    }),
    may('post_webhooks_secret') || may('get_webhooks_deliveries') ? h(Webhooks, null) : null,
  );
}
