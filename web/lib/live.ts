import { currentSession, onSession, refreshSession } from './api.ts';
import { useCallback, useEffect, useRef, useState } from './h.ts';

/** One socket for a page: events as they happen. After a gap whoever listens reads again. */

export interface LiveEvent {
  readonly topic: string;
  readonly event_id: string;
  // biome-ignore lint/suspicious/noExplicitAny: the payload of a webhook
  readonly payload: any;
  readonly wallet_id?: string;
}

/** Called with an event, or without one where some may have been missed. */
type Listener = (event?: LiveEvent) => void;

const listeners = new Set<Listener>();
const watchers = new Set<() => void>();
let socket: WebSocket | undefined;
let state: 'on' | 'off' | 'waiting' = 'off';
let tries = 0;
let retry: ReturnType<typeof setTimeout> | undefined;

const FIRST_MS = 500;
const LONGEST_MS = 30_000;
const SILENT = new Set(['settings', 'ping']);

function become(next: typeof state): void {
  state = next;
  for (const watcher of watchers) watcher();
}

function open(): void {
  clearTimeout(retry);
  if (socket || !currentSession().signed_in) return;
  const own = new WebSocket(`${location.origin.replace(/^http/, 'ws')}${document.body.dataset.prefix}/ws`);
  socket = own;
  own.onmessage = ({ data }) => {
    const event = JSON.parse(String(data)) as LiveEvent;
    if (event.topic === 'settings') {
      tries = 0;
      become('on');
      // what happened before the socket was open
      for (const listener of listeners) listener();
    }
    if (!SILENT.has(event.topic)) for (const listener of listeners) listener(event);
  };
  own.onclose = ({ code }) => {
    if (socket !== own) return;
    socket = undefined;
    become('waiting');
    // a refused upgrade has code 1006: the session is the likely reason
    if (code === 1008 || code === 1006) refreshSession().catch(() => {});
    retry = setTimeout(open, Math.min(LONGEST_MS, FIRST_MS * 2 ** tries++));
  };
}

function close(): void {
  clearTimeout(retry);
  const own = socket;
  socket = undefined;
  own?.close();
  become('off');
}

/** Opens the socket with the session, and closes it with that. */
export function startLive(): void {
  onSession(() => {
    close();
    open();
  });
  open();
}

export function useLiveState(): typeof state {
  const [, again] = useState(0);
  useEffect(() => {
    const watcher = (): void => again((n) => n + 1);
    watchers.add(watcher);
    return () => void watchers.delete(watcher);
  }, []);
  return state;
}

/** Calls with events of these topics, and without one after a gap. */
export function useLive(topics: readonly string[] | 'all', listener: Listener): void {
  const current = useRef(listener);
  current.current = listener;
  useEffect(() => {
    const own: Listener = (event) => {
      if (!event || topics === 'all' || topics.includes(event.topic)) current.current(event);
    };
    listeners.add(own);
    return () => void listeners.delete(own);
  }, []);
}

/** Calls with every event from now on, and without one after a gap: for what a page keeps of what it has read. */
export const onLive = (listener: Listener): void => void listeners.add(listener);

export interface Loaded<T> {
  readonly data: T | undefined;
  readonly error: Error | undefined;
  readonly loading: boolean;
  /** Resolves when what was read is shown. */
  reload(): Promise<void>;
}

const AGAIN_MS = 300;

/** What a function reads, read again after events of these topics: soon after the first one, and once for many. */
export function useLoad<T>(read: () => Promise<T>, topics: readonly string[] = [], deps: readonly unknown[] = []): Loaded<T> {
  const [shown, show] = useState<{ data?: T; error?: Error; loading: boolean }>({ loading: true });
  const turn = useRef(0);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const load = useCallback(() => {
    const own = ++turn.current;
    return read().then(
      (data) => void (own === turn.current && show({ data, loading: false })),
      (error: Error) => void (own === turn.current && show(({ data }) => ({ data, error, loading: false }))),
    );
  }, deps);
  useEffect(() => {
    load();
    return () => {
      turn.current++;
      clearTimeout(timer.current);
      timer.current = undefined;
    };
  }, [load]);
  useLive(topics, () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      load();
    }, AGAIN_MS);
  });
  return { ...shown, data: shown.data, error: shown.error, reload: load };
}
