import { type ComponentChildren, h as create, type FunctionComponent, type JSX, type Key, type VNode } from 'preact';

export { type ComponentChildren, Fragment, type FunctionComponent, render, type VNode } from 'preact';
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

type Tags = JSX.IntrinsicElements;
/** Markup from a text is no prop of any element: `h` makes text nodes alone. */
type Props<T> = (Omit<T, 'dangerouslySetInnerHTML'> & { key?: Key; [data: `data-${string}`]: string | undefined }) | null;

/** An element or a component, checked by its types: a misspelt tag, prop or attribute is a type error. */
export function h<T extends keyof Tags>(tag: T, props: Props<Tags[T]>, ...children: ComponentChildren[]): VNode;
export function h<P extends object>(
  component: FunctionComponent<P>,
  props: (P & { key?: Key }) | null,
  ...children: ComponentChildren[]
): VNode;
export function h(what: unknown, props: object | null, ...children: ComponentChildren[]): VNode {
  if (props && 'dangerouslySetInnerHTML' in props) throw new Error('markup from a text');
  return create(what as string, props as never, ...children);
}
