/** The label of an attribute. Its name may be one that every object has, such as `constructor`. */
export const labelOf = (labels: Readonly<Record<string, string>> | undefined, name: string): string | undefined =>
  labels && Object.hasOwn(labels, name) ? labels[name] : undefined;
