import { Fragment, h, useEffect, useRef, useState, type VNode } from '../lib/h.ts';
import { t } from '../lib/i18n.ts';
import { complain } from '../lib/toast.ts';
import { Button, Field } from '../lib/ui.ts';

/** How often a frame of the camera is looked at. */
const FRAME_MS = 200;
/** A larger picture is made smaller first. */
const LONGEST_SIDE = 1600;

interface Drawable {
  readonly source: CanvasImageSource;
  readonly width: number;
  readonly height: number;
}

/** The text of a QR code in a picture; undefined where there is none. It is read here, and goes nowhere. */
async function codeIn({ source, width, height }: Drawable): Promise<string | undefined> {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height, 1));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const { default: decode } = await import('qr/decode.js');
  try {
    return decode({ width: canvas.width, height: canvas.height, data });
  } catch {
    return undefined;
  }
}

/** A QR code from the camera, or from a picture. */
export function Scan({ onText }: { onText: (text: string) => void }): VNode {
  const [on, turn] = useState(false);
  const found = (text: string): void => {
    turn(false);
    onText(text);
  };
  const picture = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    const bitmap = await createImageBitmap(file).catch(() => undefined);
    const text = bitmap && (await codeIn({ source: bitmap, width: bitmap.width, height: bitmap.height }));
    bitmap?.close();
    if (text === undefined) throw new Error(t('wallet.scan.nothing'));
    onText(text);
  };
  return h(
    Fragment,
    null,
    h('h2', null, t('wallet.scan')),
    on ? h(Camera, { onText: found }) : null,
    h('p', { class: 'actions' }, h(Button, { onClick: () => turn(!on) }, on ? t('wallet.scan.stop') : t('wallet.scan.camera'))),
    h(Field, {
      label: t('wallet.scan.picture'),
      control: (ids) =>
        h('input', {
          ...ids,
          type: 'file',
          accept: 'image/png,image/jpeg,image/webp',
          onChange: (event: { currentTarget: HTMLInputElement }) => void picture(event.currentTarget.files?.[0]).catch(complain),
        }),
    }),
  );
}

function Camera({ onText }: { onText: (text: string) => void }): VNode {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    let stream: MediaStream | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    const look = async (): Promise<void> => {
      const shown = video.current;
      const text = shown?.videoWidth ? await codeIn({ source: shown, width: shown.videoWidth, height: shown.videoHeight }) : undefined;
      if (over) return;
      if (text === undefined) timer = setTimeout(() => void look(), FRAME_MS);
      else onText(text);
    };
    const begin = async (): Promise<void> => {
      try {
        stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
      } catch {
        complain(new Error(t('wallet.scan.no-camera')));
        return;
      }
      if (over || !video.current) return end();
      video.current.srcObject = stream;
      await video.current.play();
      await look();
    };
    const end = (): void => {
      over = true;
      clearTimeout(timer);
      for (const track of stream?.getTracks() ?? []) track.stop();
    };
    begin().catch(complain);
    return end;
  }, []);
  return h('video', { ref: video, class: 'camera', muted: true, playsInline: true, 'aria-label': t('wallet.scan.camera') });
}
