/** Values of records as a store read them. */
const read = new WeakSet<object>();

/** Marks a record's value as the one that is stored. @returns the value */
export function storedValue<V extends object>(value: V): V {
  read.add(value);
  return value;
}

/** Whether a record's value is the stored one; no copy of it is, whatever was put into that. */
export const isStoredValue = (value: object): boolean => read.has(value);
