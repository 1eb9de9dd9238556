import { h, useState, type VNode } from './h.ts';
import { t } from './i18n.ts';
import { complain } from './toast.ts';
import { Field } from './ui.ts';

/** Files of the reader's machine: their text in, a download out. */

const MAX_BYTES = 8 << 20;

/** The text of a file: UTF-8, or else Windows-1252, in which spreadsheets of Western Europe write theirs. */
export function textOf(bytes: BufferSource): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}

interface FileProps {
  readonly label: string;
  readonly hint?: string;
  readonly accept: string;
  readonly onText: (text: string, name: string) => void;
}

/** A file that is chosen, or dropped on the field. */
export function FileField({ label, hint, accept, onText }: FileProps): VNode {
  const [error, fail] = useState('');
  const choose = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    fail(file.size > MAX_BYTES ? t('file.too-large', { count: MAX_BYTES >> 20 }) : '');
    if (file.size <= MAX_BYTES) onText(textOf(await file.arrayBuffer()), file.name);
  };
  return h(Field, {
    label,
    hint,
    error,
    control: (ids) =>
      h('input', {
        ...ids,
        type: 'file',
        accept,
        onChange: (event: { currentTarget: { files: FileList | null } }) => {
          choose(event.currentTarget.files?.[0]).catch(complain);
        },
      }),
  });
}

/** Gives a file to the reader. */
export function download(name: string, content: string | Blob): void {
  const url = URL.createObjectURL(typeof content === 'string' ? new Blob([content]) : content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
