import { AppError } from '../errors.ts';
import type { Setting } from './settings.ts';

/** A configuration that cannot work; the text names the correction. */
export class ConfigError extends Error {}

/** A setting that an adapter refuses is an error of the configuration. @throws ConfigError */
export function asSetting<T>(name: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new ConfigError(`${name}: ${(error as Error).message}`);
  }
}

/** Texts of a variable that turn a flag off. */
export const OFF = /^(0|false|no|off)$/i;

/** A variable's text as the value of a setting; undefined where nothing was given. */
export function fromText(setting: Setting, text: string | undefined): unknown {
  if (text === undefined || text === '') return undefined;
  if (setting.kind === 'flag') return !OFF.test(text);
  if (setting.kind === 'words') return text.split(/[\s,[\]]+/).filter(Boolean);
  if (setting.kind === 'list') {
    const words = text.split(/[\s,[\]]+/).filter(Boolean);
    const { words: size } = setting;
    return size ? Array.from({ length: Math.ceil(words.length / size) }, (_, i) => words.slice(i * size, (i + 1) * size)) : words;
  }
  return text;
}

/** A given value as one that the setting may have. @throws ConfigError */
export function checked(setting: Setting, raw: unknown): unknown {
  if (raw === undefined || raw === null) return undefined;
  const name = setting.flags[0];
  switch (setting.kind) {
    case 'flag':
      return raw === true || raw === 'true';
    case 'number': {
      const value = Number(raw);
      if (!Number.isFinite(value) || value < 0) throw new ConfigError(`${name} must be a number, not ${String(raw)}`);
      return value;
    }
    case 'words':
    case 'list': {
      // YAML may give one value as it is
      if (!setting.words && typeof raw === 'string') return [raw];
      if (!Array.isArray(raw)) throw new ConfigError(`${name} must be a list`);
      if (setting.words && setting.kind === 'list') {
        const rows = raw.length > 0 && !Array.isArray(raw[0]) ? [raw] : raw;
        for (const row of rows) if (row.length !== setting.words) throw new ConfigError(`${name} takes ${setting.words} values`);
        return rows.map((row: unknown[]) => row.map(String));
      }
      if (setting.words && raw.length !== setting.words) throw new ConfigError(`${name} takes ${setting.words} values`);
      return raw.map(String);
    }
    default: {
      const text = String(raw);
      if (!setting.oneOf) return text;
      // ACA-Py's choices are taken in any case
      const chosen = setting.aliases?.[text.toLowerCase()] ?? text.toLowerCase();
      if (!setting.oneOf.includes(chosen)) throw new ConfigError(`${name} takes ${setting.oneOf.join(', ')}, not ${text}`);
      return chosen;
    }
  }
}
