import { h, useEffect, useState, type VNode } from '../lib/h.ts';
import { t } from '../lib/i18n.ts';
import { Dialog, Form, TextField } from '../lib/ui.ts';

/** Passphrases, for passkeys that seal nothing: asked for in a dialog, whatever is on the page. */

/** Anybody with a copy of the database may try passphrases, each at the cost of Argon2id. */
const LEAST = 16;

interface Question {
  /** `new`: one is chosen. `known`: the one of a passkey. */
  readonly kind: 'new' | 'known';
  answer(phrase: string): void;
  giveUp(): void;
}

let show: (question: Question | undefined) => void = () => {};

/** A passphrase that the person types. @throws Error where they close the dialog */
export const askPhrase = (kind: Question['kind']): Promise<string> =>
  new Promise((answer, fail) => {
    const end = (): void => show(undefined);
    show({
      kind,
      answer(phrase) {
        end();
        answer(phrase.normalize('NFKC'));
      },
      giveUp() {
        end();
        fail(new Error(t('wallet.phrase.none')));
      },
    });
  });

export function PhraseDialog(): VNode | null {
  const [question, set] = useState<Question>();
  useEffect(() => {
    show = set;
  }, []);
  return question ? h(Asking, { question }) : null;
}

function Asking({ question: { kind, answer, giveUp } }: { question: Question }): VNode {
  const [phrase, setPhrase] = useState('');
  const [again, setAgain] = useState('');
  const isNew = kind === 'new';
  const autocomplete = isNew ? 'new-password' : 'current-password';
  const submit = async (): Promise<void> => {
    if (isNew && [...phrase].length < LEAST) throw new Error(t('wallet.phrase.short', { count: LEAST }));
    if (isNew && phrase !== again) throw new Error(t('wallet.phrase.differs'));
    answer(phrase);
  };
  return h(
    Dialog,
    { title: t(isNew ? 'wallet.phrase.choose' : 'wallet.phrase'), onClose: giveUp },
    isNew ? h('p', null, t('wallet.phrase.text')) : null,
    h(
      Form,
      { onSubmit: submit, action: t(isNew ? 'wallet.phrase.use' : 'wallet.open') },
      h(TextField, {
        ...{ label: t('wallet.phrase.label'), type: 'password', value: phrase, onInput: setPhrase, required: true, max: 500, autocomplete },
      }),
      isNew
        ? h(TextField, {
            ...{
              label: t('wallet.phrase.again'),
              type: 'password',
              value: again,
              onInput: setAgain,
              required: true,
              max: 500,
              autocomplete,
            },
          })
        : null,
    ),
  );
}
