/** What the console says of a network before it is sent; the server alone decides what is good. */
export interface NetworkFacts {
  family: 4 | 6;
  prefix: number;
  addresses: bigint;
  /** Its first address as a number. */
  first: bigint;
  isPrivate: boolean;
  /** So wide that it is likely a slip of the hand. */
  isWide: boolean;
  /** It names an address inside of the network rather than the network's first. */
  hasHostBits: boolean;
}

const WIDE_V4 = 16;
const WIDE_V6 = 48;

function v4(text: string): bigint | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) return null;
  return parts.reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
}

function v6(text: string): bigint | null {
  const halves = text.split('::');
  if (halves.length > 2 || text === '') return null;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const left = groups[0] ?? [];
  const right = groups[1] ?? [];
  const missing = 8 - left.length - right.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const all = [...left, ...Array<string>(halves.length === 1 ? 0 : missing).fill('0'), ...right];
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

const PRIVATE_V4: [string, number][] = [['10.0.0.0', 8], ['172.16.0.0', 12], ['192.168.0.0', 16], ['127.0.0.0', 8], ['100.64.0.0', 10], ['169.254.0.0', 16]];
const PRIVATE_V6: [string, number][] = [['fc00::', 7], ['fe80::', 10], ['::1', 128]];

function lies(address: bigint, prefix: number, bits: number, base: bigint, length: number): boolean {
  const shift = BigInt(bits - length);
  return prefix >= length && address >> shift === base >> shift;
}

/** Null when it is neither an address nor a network. */
export function networkFacts(text: string): NetworkFacts | null {
  const [address = '', length, ...rest] = text.trim().split('/');
  if (rest.length > 0 || (length !== undefined && !/^\d{1,3}$/.test(length))) return null;
  const family = address.includes(':') ? 6 : 4;
  const bits = family === 4 ? 32 : 128;
  const parse = family === 4 ? v4 : v6;
  const value = parse(address);
  const prefix = length === undefined ? bits : Number(length);
  if (value === null || prefix > bits) return null;
  const host = BigInt(bits - prefix);
  const ranges = family === 4 ? PRIVATE_V4 : PRIVATE_V6;
  return {
    family,
    prefix,
    addresses: 1n << host,
    first: (value >> host) << host,
    isPrivate: ranges.some(([base, of]) => lies(value, prefix, bits, parse(base) ?? 0n, of)),
    isWide: prefix < (family === 4 ? WIDE_V4 : WIDE_V6),
    hasHostBits: value !== (value >> host) << host,
  };
}

/** Whether two networks share addresses; what is none shares nothing. */
export function networksOverlap(one: string, other: string): boolean {
  const [a, b] = [networkFacts(one), networkFacts(other)];
  if (!a || !b || a.family !== b.family) return false;
  const shift = BigInt((a.family === 4 ? 32 : 128) - Math.min(a.prefix, b.prefix));
  return a.first >> shift === b.first >> shift;
}
