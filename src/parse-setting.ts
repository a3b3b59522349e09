/** From the text of a setting to its value; undefined where it is not one. */
import { isCidr } from './domain/address.ts';

export const oneOf =
  <const T extends string>(...values: readonly T[]) =>
  (text: string): T | undefined =>
    values.find((value) => value === text);

export const whole =
  (min: number, max: number) =>
  (text: string): number | undefined => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  };

/** Comma-separated items, each of which `valid` accepts. */
export const list =
  <T extends string = string>(valid: (item: string) => boolean) =>
  (text: string): readonly T[] | undefined => {
    const items = text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
    return items.every(valid) ? (items as T[]) : undefined;
  };

export const parseCidrs = list(isCidr);
export const parseOrigins = list((origin) => URL.parse(origin)?.origin === origin);

/** Null for nothing. */
export const optional =
  (pattern: RegExp) =>
  (text: string): string | null | undefined => {
    if (text === '') return null;
    return pattern.test(text) ? text : undefined;
  };
