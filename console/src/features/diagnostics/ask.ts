import { networkFacts } from '@/shared/network';
import type { AskedRequest } from './queries';

export const NAMED_BY = ['key', 'hint', 'binding'] as const;
export type NamedBy = (typeof NAMED_BY)[number];

/** What is asked about, as it is typed. */
export interface Asked {
  by: NamedBy;
  /** The key in clear, a part of the hint, or the binding's number. */
  named: string;
  address: string;
  method: string;
  path: string;
}

export type WrongPart = 'named' | 'address' | 'path';

/** What is typed and cannot be so; what is missing is no mistake yet. The server judges it all again. */
export function wrongParts(asked: Asked): WrongPart[] {
  const [named, address, path] = [asked.named.trim(), asked.address.trim(), asked.path.trim()];
  const isNumber = /^[1-9]\d{0,14}$/.test(named);
  const isOne = !address.includes('/') && networkFacts(address) !== null;
  const wrong: WrongPart[] = [];
  if (asked.by === 'binding' && named !== '' && !isNumber) wrong.push('named');
  if (address !== '' && !isOne) wrong.push('address');
  if (path !== '' && !path.startsWith('/')) wrong.push('path');
  return wrong;
}

/** What is sent; null while it is not all there. */
export function toSend(asked: Asked): AskedRequest | null {
  const [named, address] = [asked.named.trim(), asked.address.trim()];
  if (named === '' || address === '' || wrongParts(asked).length > 0) return null;
  const key = { key: { key: named }, hint: { hint: named }, binding: { binding_id: Number(named) } }[asked.by];
  return { ...key, address, path: asked.path.trim() || null, method: asked.method || null };
}
